"""Block distillation (DNA, Li et al., 2020; NAS-BERT, Xu et al., 2021): each block learns its part of a teacher."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.block_maps import BlockMaps
from autobert_hf.lab.distilling.ridge import ridge
from autobert_hf.lab.distilling.signals import DistillationError, real_tokens
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Step, model_of
from autobert_hf.modeling.layers_alone import run_layers
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM


MOST_BLOCKS = 4  # NAS-BERT's number


class BlockDistillation(Loss):
    """
    Blocks of equally many layers get the teacher's states at one of its `borders` and have to give those at the next;
    a term for each is the mean squared error over that of the best linear map. Blocks learn alone: word embeddings,
    final norm and head learn nothing. `borders`: numbers of the teacher's layers, 0 for its embeddings; by default
    they part it into as many equal blocks as both depths allow, 4 at most.

    Raises:
        DistillationError: if the layers of the student or the teacher cannot be parted so.
    """

    unit = "error over the linear floor, mean over blocks"
    rows = "packed"
    head = AutoBertForMaskedLM
    needs_teacher = True
    is_whole = False

    def __init__(
        self, student: PreTrainedConfig, teacher: Teacher | None = None, borders: Sequence[int] | None = None
    ) -> None:
        super().__init__(student)
        assert teacher is not None
        # In a tuple, so that the teacher's weights are not parameters of this module: neither trained nor saved.
        self._teacher = (teacher,)
        depth = teacher.config.num_hidden_layers
        self.borders = tuple(borders or _equal_borders(depth, student.num_hidden_layers))
        _check(self.borders, depth, student.num_hidden_layers)
        width = teacher.config.hidden_size
        self.maps = nn.ModuleList(BlockMaps(width, student.hidden_size) for _ in self.blocks).to(teacher.device)
        self.layers = student.num_hidden_layers // len(self.blocks)

    @property
    def teacher(self) -> Teacher:
        return self._teacher[0]

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """The teacher's layers of each."""
        return [*pairwise(self.borders)]

    def renewed(self, student: PreTrainedConfig) -> "BlockDistillation":
        return type(self)(student, self.teacher, self.borders)

    def items(self, batch: Batch) -> dict[str, int]:
        return {_term(index): int(real_tokens(batch).sum()) for index in range(len(self.blocks))}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        states, real = self.teacher.states(batch, self.borders), real_tokens(batch)

        def losses(network: Network) -> dict[str, Tensor]:
            errors = [self.error_of(index, network, batch, states, real) for index in range(len(self.maps))]
            return {_term(at): error / items[_term(at)] for at, error in enumerate(errors)}

        return losses

    def error_of(self, index: int, network: Network, batch: Batch, states: Sequence[Tensor], real: Tensor) -> Tensor:
        """Of a block: the sum over tokens of its errors, over the floor and the number of blocks."""
        maps = self.maps[index]
        assert isinstance(maps, BlockMaps)
        layers = range(index * self.layers, (index + 1) * self.layers)
        found = run_layers(model_of(network), layers, maps.into(states[index]), batch.get("attention_mask"))
        error = (maps.out_of(found[real]).float() - states[index + 1][real].float()).square().mean(-1).sum()
        return error / maps.floor / len(self.maps)

    def fit(self, networks: Sequence[Network], batches: Sequence[Batch]) -> None:
        """Starts the maps from the best linear ones between the teacher's states, tested on a third."""
        tested = batches[::3]
        fitted = [batch for at, batch in enumerate(batches) if at % 3] or batches
        for index, maps in enumerate(self.maps):
            assert isinstance(maps, BlockMaps)
            maps.fit(ridge(self._ends(index, fitted)), self._ends(index, tested))

    def _ends(self, index: int, batches: Sequence[Batch]) -> Iterator[tuple[Tensor, Tensor]]:
        """The teacher's states (tokens, width) at both ends of a block."""
        for batch in batches:
            states, real = self.teacher.states(batch, self.borders), real_tokens(batch)
            yield states[index][real], states[index + 1][real]

    def floor(self, text: Text) -> float:
        """Of a block without token mixing."""
        return 1.0

    def floors(self, text: Text) -> dict[str, float]:
        return {"floor": 1.0}


def _term(index: int) -> str:
    return f"block {index + 1}"


def _equal_borders(teacher: int, student: int) -> list[int]:
    common = math.gcd(teacher, student)
    blocks = max(number for number in range(1, MOST_BLOCKS + 1) if common % number == 0)
    return [*range(0, teacher + 1, teacher // blocks)]


def _check(borders: Sequence[int], teacher: int, student: int) -> None:
    rises = all(one < other for one, other in pairwise(borders))
    if len(borders) < 2 or not rises or borders[0] < 0 or borders[-1] > teacher:
        raise DistillationError(
            f"The borders {[*borders]} part no layers of the teacher, which has {teacher}: give two or more rising "
            f"numbers from 0 to {teacher}."
        )
    if student % (len(borders) - 1):
        raise DistillationError(
            f"{student} layers of the student cannot be shared out to {len(borders) - 1} blocks: give a multiple."
        )
