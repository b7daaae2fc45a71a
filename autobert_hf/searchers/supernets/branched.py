"""The bi-branch supernet of AutoBERT-Zero (section 3.2): each layer holds the largest attention and kernel."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import Cache

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.formula import Formula
from autobert_hf.modeling.modeling_autobert import (
    PROJECTIONS,
    AutoBertAttention,
    AutoBertConvolution,
    AutoBertDepthwiseConv,
    AutoBertForMaskedLM,
    AutoBertLayer,
    AutoBertModel,
    AutoBertPreTrainedModel,
)
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets.active import ActiveNetwork


class ElasticConv(AutoBertDepthwiseConv):
    """
    The largest kernel (groups, K). A smaller one is M_k times its centre; M_k (k, k) is learned, starts as the
    identity and belongs to this layer alone (Once-for-all, Cai et al., 2020, cropped straight from K).
    """

    def __init__(self, config: AutoBertConfig, groups: int, kernels: tuple[int, ...], layer_idx: int) -> None:
        super().__init__(config, groups, max(kernels), layer_idx)
        self.transforms = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k)) for k in kernels if k < max(kernels)})
        self.kernel_size = max(kernels)

    def centre(self) -> torch.Tensor:
        return centre(self.weight, self.kernel_size)

    def transformed(self) -> torch.Tensor:
        """The kernel (groups, k) that an extracted network carries."""
        size = str(self.kernel_size)
        return self.centre() @ self.transforms[size].T if size in self.transforms else self.centre()

    def taps(self) -> torch.Tensor:
        return self.transformed().softmax(-1) if self.softmax else self.transformed()


def centre(kernel: torch.Tensor, size: int) -> torch.Tensor:
    """A view of the middle `size` taps of (groups, K)."""
    start = (kernel.shape[-1] - size) // 2
    return kernel[:, start : start + size]


class BranchedLayer(AutoBertLayer):
    """A layer with two branches, attention with all four projections and a convolution; one is active."""

    def __init__(
        self, config: AutoBertConfig, layer_idx: int, width_in: int, network: AutoBertConfig, kernels: tuple[int, ...]
    ) -> None:
        super().__init__(config, "full_attention", layer_idx, width_in, network)
        self.convolution = AutoBertConvolution(config, layer_idx)
        self.convolution.conv = ElasticConv(config, config.conv_num_heads, kernels, layer_idx)
        self.active = "full_attention"

    @property
    def attention(self) -> AutoBertAttention:
        assert isinstance(self.mixer, AutoBertAttention)
        return self.mixer

    @property
    def conv(self) -> ElasticConv:
        assert isinstance(self.convolution.conv, ElasticConv)
        return self.convolution.conv

    def activate(self, layer: dict) -> None:
        self.active = layer["layer_type"]
        if self.active == "conv":
            self.conv.kernel_size = layer["conv_kernel_size"]
        else:
            self.attention.formula = Formula(layer["attention_formula"])

    def mix(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None,
        padding: torch.Tensor | None,
        cache: Cache | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        if self.active == "conv":
            return self.convolution(x, padding, cache)
        return super().mix(x, mask, padding, cache, **kwargs)


class BranchedSupernet:
    """
    The weights of every architecture of an AutoBERT-Zero space: `module` is an ordinary model with a head that
    runs the active architecture; `extract` returns an architecture as a separate model.
    """

    def __init__(
        self,
        space: AutoBertZeroSpace,
        base: AutoBertConfig,
        seed: int,
        network: Callable[[AutoBertConfig], AutoBertPreTrainedModel] = AutoBertForMaskedLM,
    ) -> None:
        """
        Raises:
            ValueError: for decoders: not every formula can be one, and smaller kernels are the centres of larger ones.
        """
        if base.is_decoder:
            raise ValueError("A branched supernet has no decoders: set is_decoder=False, and use the loss mlm.")
        self.space = space
        self.base = base
        self.make = network
        self.module = network(space.largest().to_config(base))
        encoder, config = self.module.base_model, self.module.config  # which is a copy of the one given
        assert isinstance(encoder, AutoBertModel) and encoder is not self.module  # there is a head
        self.layers: list[BranchedLayer] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "supernet"))
            width = config.embedding_size
            for index, (_, layer) in enumerate(config.layers()):
                self.layers.append(BranchedLayer(layer, index, width, config, space.kernels))
                width = layer.layer_width
            encoder.encoder.layers = nn.ModuleList(self.layers)
            self.module.apply(self.module._init_weights)
        self.module.config._attn_implementation = base._attn_implementation
        self.active = space.largest()

    def network(self, architecture: Architecture, training: bool = True) -> ActiveNetwork:
        return ActiveNetwork(self, architecture, training)

    def activate(self, architecture: Architecture) -> None:
        if architecture != self.active:
            for layer, choice in zip(self.layers, architecture.layer_dicts, strict=True):
                layer.activate(choice)
            self.active = architecture

    def views(self, architecture: Architecture) -> dict[str, torch.Tensor]:
        """Views of the parameters that the architecture uses: projections, or centre taps and their transform."""
        self.activate(architecture)
        views = {}
        for name, parameter in self.module.named_parameters():
            _, _, inner = name.partition("encoder.layers.")
            index, _, inner = inner.partition(".")
            view = self._active_view(int(index), inner, parameter) if index else parameter
            if view is not None:
                views[name] = view
        return views

    def _active_view(self, index: int, name: str, parameter: torch.Tensor) -> torch.Tensor | None:
        layer = self.layers[index]
        branch, _, inner = name.partition(".")
        if branch == "convolution":
            return _active_conv_view(layer.conv, inner, parameter) if layer.active == "conv" else None
        if branch != "mixer":
            return parameter
        unused = set(PROJECTIONS.values()) - {PROJECTIONS[letter] for letter in layer.attention.formula.inputs}
        return parameter if layer.active != "conv" and inner.split(".")[0] not in unused else None

    @torch.no_grad()
    def write(self, architecture: Architecture, state: dict[str, torch.Tensor]) -> None:
        """Copies the trained tensors of a child into the shared weights (weight write-back of BIWS)."""
        for name, view in self.views(architecture).items():
            view.copy_(state[name])

    @torch.no_grad()
    def extract(self, architecture: Architecture) -> AutoBertPreTrainedModel:
        model = self.make(architecture.to_config(self.base))
        state = {}
        for name, view in self.views(architecture).items():
            if ".transforms." not in name:
                state[name.replace(".convolution.", ".mixer.")] = view
        for index, layer in enumerate(self.layers):
            if layer.active == "conv":
                state[f"autobert.encoder.layers.{index}.mixer.conv.weight"] = layer.conv.transformed()
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected and set(missing) <= {"predictions.decoder.weight"}, (missing, unexpected)
        model.config._attn_implementation = self.base._attn_implementation
        return model.eval()


def _active_conv_view(conv: ElasticConv, name: str, parameter: torch.Tensor) -> torch.Tensor | None:
    if name == "conv.weight":
        return conv.centre()
    if name.startswith("conv.transforms."):
        return parameter if name.endswith(f".{conv.kernel_size}") else None
    return parameter
