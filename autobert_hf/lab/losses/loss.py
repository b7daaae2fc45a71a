"""The interface of losses: those of shards and processes add up to the loss that one process computes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel


class TrainingError(RuntimeError):
    """The loss is not finite, or a candidate cannot be trained."""


ENCODER_REFUSED = (
    "The loss next-words trains decoders, and this is an encoder: it sees the words that it has to predict. "
    "Set is_decoder=True in its configuration, or use the loss mlm."
)
DECODER_REFUSED = (
    "This network is a decoder: it sees only the tokens before each token, and the loss needs those on both sides. "
    "Use the loss next-words, or set is_decoder=False in its configuration."
)


class Network(Protocol):
    """A model, or a supernet's view of one: losses treat both alike."""

    @property
    def config(self) -> PreTrainedConfig: ...

    def __call__(self, **batch: Any) -> Any: ...  # noqa: ANN401 (what a model takes, and its ModelOutput)


class SharedNetwork(Network, Protocol):
    """A network on the weights of a supernet."""

    @property
    def model(self) -> AutoBertPreTrainedModel: ...


def model_of(network: Network) -> AutoBertPreTrainedModel:
    """The module that computes it, for losses that need its layers; it is valid until another network is asked."""
    return network if isinstance(network, AutoBertPreTrainedModel) else cast(SharedNetwork, network).model


@dataclass(frozen=True)
class Step:
    """Where in a training a loss is computed: all random draws of a loss derive from it."""

    number: int = 0
    shard: int = 0
    seed: int = 0


Losses = Callable[[Network], dict[str, Tensor]]
Score = Callable[[Network], dict[str, tuple[float, int]]]


class Loss(nn.Module, ABC):
    """
    Built from the configuration of the largest student and, for a distillation, a teacher. It may own parameters that
    are trained with the network, such as a map to the teacher's width.

    `rows`: the kind of text rows it needs (`packed`, `unmasked`, `pairs` or `texts`); `head`: the class of the
    networks that it trains; `decoders`: whether these are decoders, None for either; `is_whole`: whether it trains
    all parts of a network, so that it may be the last training; `unit`: the unit of its value.

    Raises:
        ValueError: for an encoder where it trains decoders, and the other way round.
    """

    unit: ClassVar[str]
    rows: ClassVar[str]
    head: ClassVar[type[AutoBertPreTrainedModel]]
    needs_teacher: ClassVar[bool] = False
    decoders: ClassVar[bool | None] = False
    is_whole: ClassVar[bool] = True

    def __init__(self, student: PreTrainedConfig, teacher: Teacher | None = None) -> None:
        super().__init__()
        if isinstance(student, AutoBertConfig) and self.decoders not in (None, student.is_decoder):
            raise ValueError(ENCODER_REFUSED if self.decoders else DECODER_REFUSED)

    @classmethod
    def network(cls, config: AutoBertConfig) -> AutoBertPreTrainedModel:
        """A new network with the head that this loss needs."""
        return cls.head(config)

    def renewed(self, student: PreTrainedConfig) -> "Loss":
        """The same loss with newly initialized parameters, for this student and smaller ones."""
        return type(self)(student)

    def check(self, smallest: PreTrainedConfig) -> None:
        """Raises DistillationError if the smallest student cannot learn it; checked before anything is trained."""

    @abstractmethod
    def items(self, batch: Batch) -> dict[str, int]:
        """The number of items that each term is a mean over; counts of shards add up to those of the batch."""

    @abstractmethod
    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        """
        The terms of this shard: sums over its items, divided by `items`, the counts of the whole batch. What all
        networks of a batch share, such as a teacher's signals, is computed once, here.
        """

    def score(self, batch: Batch) -> Score:
        """
        Sum and number of items of each term on a held-out batch; draws are those of the first step. For losses whose
        `forward` gives sums over `items`; others have their own.
        """
        own = self.items(batch)
        losses = self(batch, dict.fromkeys(own, 1), Step())

        def score(network: Network) -> dict[str, tuple[float, int]]:
            return {name: (value.item(), own[name]) for name, value in losses(network).items()}

        return score

    def accuracy(self, network: Network, batches: Sequence[Batch]) -> float | None:
        """The share of right answers on held-out batches; None for losses that ask for no answers."""
        return None

    def fit(self, networks: Sequence[Network], batches: Sequence[Batch]) -> None:
        """Initializes the loss's own parameters in closed form; by default there are none."""

    def floor(self, text: Text) -> float | None:
        """The loss of a network without use of context; None if it is unknown or takes a computation."""
        return None

    def floors(self, text: Text) -> dict[str, float]:
        """The values that a network without use of context reaches, by their name in a report."""
        return {}

    def error(self, network: PreTrainedModel, text: Text) -> float | None:
        """A second measure of a finished network, comparable with the floor, for losses that are not; else None."""
        return None
