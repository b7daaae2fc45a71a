"""Networks of supernets that hold all choices of a layer side by side: the chosen ones are made active."""

from dataclasses import dataclass
from typing import Any, Protocol

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.records.architecture import Architecture


class ActiveSupernet(Protocol):
    @property
    def module(self) -> AutoBertPreTrainedModel: ...

    def activate(self, architecture: Architecture) -> None: ...


@dataclass(frozen=True)
class ActiveNetwork:
    """One architecture on the weights of such a supernet."""

    supernet: ActiveSupernet
    architecture: Architecture
    training: bool

    @property
    def config(self) -> AutoBertConfig:
        """The supernet's configuration: all of its networks have the same widths and heads."""
        return self.supernet.module.config

    @property
    def model(self) -> AutoBertPreTrainedModel:
        """The supernet's module with this architecture active; valid until another one is asked for."""
        self.supernet.activate(self.architecture)
        if self.supernet.module.training != self.training:
            self.supernet.module.train(self.training)
        return self.supernet.module

    def __call__(self, **batch: Any) -> Any:  # noqa: ANN401 (what the head gives)
        return self.model(**batch)
