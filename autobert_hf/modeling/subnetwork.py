"""
Sub-networks that run on the weights of a large network. No layer is elastic: an ordinary network without memory of its
own, a skeleton, is handed slices of the large network's weights.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .modeling_autobert import AutoBertAttention, AutoBertPreTrainedModel
from .slicing import Cut, slice_state


class Skeleton:
    """
    A network without weights, whose weights and sizes are set per cut. Works like `torch.func.functional_call`, but
    keeps the weights until another cut needs the skeleton, so that they are not set again at every call.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.places: list[tuple[dict[str, Any], str, str]] = []
        self.norms: list[tuple[Any, str]] = []
        self.attentions: list[AutoBertAttention] = []
        for path, module in model.named_modules():
            prefix = f"{path}." if path else ""
            for own in (module._parameters, module._buffers):
                self.places += [(own, key, f"{prefix}{key}") for key, value in own.items() if value is not None]
            if isinstance(module, nn.LayerNorm | nn.RMSNorm):
                self.norms.append((module, f"{prefix}weight"))
            elif isinstance(module, AutoBertAttention):
                self.attentions.append(module)
        self.worn: dict[str, Tensor] | None = None

    def wear(self, weights: dict[str, Tensor], cut: Cut) -> None:
        if self.worn is weights:
            return
        for place, key, name in self.places:
            place[key] = weights[name]
        for norm, name in self.norms:
            norm.normalized_shape = tuple(weights[name].shape)
        for attention in self.attentions:
            attention.head_dim = cut.layers[attention.layer_idx].head_dim
        self.worn = weights


class SubNetwork:
    """
    A small network that computes with the large one's weights, so that gradients arrive there. Called as a model is:
    `network(input_ids=..., attention_mask=...)`.
    """

    def __init__(
        self, large: PreTrainedModel, skeleton: Skeleton, cut: Cut, weights: dict[str, Tensor], training: bool
    ) -> None:
        self.large = large
        self.training = training
        self.skeleton = skeleton
        self.cut = cut
        self.weights = weights

    @property
    def config(self) -> Any:  # noqa: ANN401
        """The large network's, where attention implementation and sparse prediction are switched for all parts."""
        return self.large.config

    @property
    def model(self) -> Any:  # noqa: ANN401
        """The skeleton with these weights; valid until another network wears them."""
        self.skeleton.wear(self.weights, self.cut)
        model, config = self.skeleton.model, self.large.config
        model.config.sparse_prediction = config.sparse_prediction
        model.config._attn_implementation = config._attn_implementation
        if model.training != self.training:
            model.train(self.training)
        return model

    def __call__(self, **batch: Any) -> Any:  # noqa: ANN401
        return self.model(**batch)


class Sliceable:
    """A large AutoBert model whose sub-networks can be run, trained and taken out."""

    def __init__(self, model: AutoBertPreTrainedModel) -> None:
        self.model = model
        self.cut = Cut.of(model.config)
        self.skeletons: dict[tuple[int, ...], Skeleton] = {}

    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers; tied ones under both names."""
        parameters: dict[str, Tensor] = dict(self.model.named_parameters(remove_duplicate=False))
        return parameters | dict(self.model.named_buffers())

    def part(self, cut: Cut, training: bool = False) -> SubNetwork:
        """
        The sub-network as a function on these weights, in training or in evaluation mode. Weights of narrowed heads
        are copies: make a new one after each optimizer step.
        """
        weights = slice_state(self.state(), self.cut, cut)
        skeleton = self._skeleton(tuple(layer.source for layer in cut.layers))
        return SubNetwork(self.model, skeleton, cut, weights, training)

    @torch.no_grad()
    def extract(self, cut: Cut) -> PreTrainedModel:
        """The sub-network as an ordinary model of its own."""
        weights = slice_state(self.model.state_dict(), self.cut, cut)
        small = type(self.model)(cut.to_config(self.model.config))
        small.load_state_dict(weights)
        small.config._attn_implementation = self.model.config._attn_implementation
        return small.eval()

    def _skeleton(self, sources: tuple[int, ...]) -> Skeleton:
        """The large network with these layers on the meta device; as many as there are depths."""
        if sources not in self.skeletons:
            layers = tuple(self.cut.layers[source] for source in sources)
            config = Cut(self.cut.hidden_size, self.cut.embedding_size, layers).to_config(self.model.config)
            with torch.device("meta"):
                self.skeletons[sources] = Skeleton(type(self.model)(config))
        return self.skeletons[sources]
