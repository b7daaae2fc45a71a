"""What a network learns from a batch, so that shards and processes add up to what one process computes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel


class TrainingError(RuntimeError):
    """The loss is no number any more."""


class Network(Protocol):
    """A model, or a supernet's view of one: a loss cannot tell them apart."""

    @property
    def config(self) -> PreTrainedConfig: ...

    def __call__(self, **batch: Any) -> Any: ...  # noqa: ANN401 (what a model takes, and its ModelOutput)


@dataclass(frozen=True)
class Step:
    """Where a loss is taken: every random draw of a loss follows from this."""

    number: int = 0
    shard: int = 0
    seed: int = 0


Losses = Callable[[Network], dict[str, Tensor]]
Score = Callable[[Network], dict[str, tuple[float, int]]]


class Loss(nn.Module):
    """
    Made of the largest student's configuration and, where it learns from one, a teacher. It may own parameters, which
    are trained with the network (a map to the teacher's width).

    `rows` names the rows of text that it reads (`packed`, `pairs` or `texts`), `head` the class of a network that can
    learn it, `unit` what its value counts.
    """

    unit: ClassVar[str]
    rows: ClassVar[str]
    head: ClassVar[type[AutoBertPreTrainedModel]]
    needs_teacher: ClassVar[bool] = False

    def __init__(self, student: PreTrainedConfig, teacher: Teacher | None = None) -> None:
        super().__init__()

    @classmethod
    def network(cls, config: AutoBertConfig) -> AutoBertPreTrainedModel:
        """A new network that can learn this."""
        return cls.head(config)

    def renewed(self, student: PreTrainedConfig) -> "Loss":
        """The same loss with parameters of its own that are new, for this student and smaller ones."""
        return type(self)(student)

    def items(self, batch: Batch) -> dict[str, int]:
        """Of how many items each term is the mean; over the shards of a batch these are added."""
        raise NotImplementedError

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        """
        The terms of this shard: the sum over its items divided by `items`, those of the whole batch. What all networks
        of a batch share, such as a teacher's answer, is computed once, here.
        """
        raise NotImplementedError

    def score(self, batch: Batch) -> Score:
        """Sum and number of items of each term on a held-out batch, without random draws."""
        raise NotImplementedError

    def fit(self, networks: Sequence[Network], batches: Sequence[Batch]) -> None:
        """Starts the loss's own parameters in closed form where that can be done; the default has none."""

    def floors(self, text: Text) -> dict[str, float]:
        """By its name in a report, the value that a network reaches which makes no use of context."""
        return {}

    def error(self, network: PreTrainedModel, text: Text) -> float | None:
        """A second measure of a finished network, comparable with the floor, where the loss itself is not."""
        return None
