"""The chain supernet of MAGIC and NAS-BERT: every sub-layer holds all operations, each with weights of its own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertLayer, AutoBertModel, AutoBertPreTrainedModel
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.chain import ChainSpace
from autobert_hf.searchers.supernets.active import ActiveNetwork


class ChoiceLayer(nn.Module):
    """All operations of a sub-layer, by number; one of them is active."""

    def __init__(self, operations: list[AutoBertLayer]) -> None:
        super().__init__()
        self.operations = nn.ModuleList(operations)
        self.active = 0

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.operations[self.active](hidden_states, *args, **kwargs)


class ChoiceSupernet:
    """`module` is an ordinary model with a head whose layers are `ChoiceLayer`s; it runs the active chain."""

    def __init__(
        self,
        space: ChainSpace,
        base: AutoBertConfig,
        seed: int,
        network: Callable[[AutoBertConfig], AutoBertPreTrainedModel],
    ) -> None:
        self.space = space
        self.base = base
        self.make = network
        self.module = network(space.largest().to_config(base))
        encoder, config = self.module.base_model, self.module.config  # which is a copy of the one given
        assert isinstance(encoder, AutoBertModel) and encoder is not self.module  # there is a head
        self.names = [*space.operations]
        kinds = [_layer_config(space, base, name) for name in self.names]
        self.layers: list[ChoiceLayer] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "supernet"))
            for index in range(space.length):
                width = config.embedding_size if index == 0 else config.hidden_size
                made = [AutoBertLayer(layer, kind, index, width, config) for kind, layer in kinds]
                self.layers.append(ChoiceLayer(made))
            encoder.encoder.layers = nn.ModuleList(self.layers)
            self.module.apply(self.module._init_weights)
        self.module.config._attn_implementation = base._attn_implementation

    def network(self, architecture: Architecture, training: bool = True) -> ActiveNetwork:
        return ActiveNetwork(self, architecture, training)

    def activate(self, architecture: Architecture) -> None:
        for layer, name in zip(self.layers, self.space.names(architecture), strict=True):
            layer.active = self.names.index(name)

    def views(self, architecture: Architecture) -> dict[str, Tensor]:
        """The parameters of the chain's operations and those that all chains share, by their extracted names."""
        self.activate(architecture)
        views: dict[str, Tensor] = {}
        for name, parameter in self.module.named_parameters():
            before, is_operation, inner = name.partition(".operations.")
            if not is_operation:
                views[name] = parameter
                continue
            number, _, inner = inner.partition(".")
            if int(number) == self.layers[int(before.rpartition(".")[2])].active:
                views[f"{before}.{inner}"] = parameter
        return views

    @torch.no_grad()
    def extract(self, architecture: Architecture) -> AutoBertPreTrainedModel:
        model = self.make(architecture.to_config(self.base))
        missing, unexpected = model.load_state_dict(self.views(architecture), strict=False)
        assert not unexpected and set(missing) <= {"predictions.decoder.weight"}, (missing, unexpected)
        model.config._attn_implementation = self.base._attn_implementation
        return model.eval()


def _layer_config(space: ChainSpace, base: AutoBertConfig, name: str) -> tuple[str, AutoBertConfig]:
    """The type and the configuration of a sub-layer with this operation."""
    config = Architecture.of([space.operations[name]]).to_config(base)
    return next(iter(config.layers()))
