"""AutoDistil's loss (Xu et al., 2022, section 3.2): relations of the last layer alone, or with masked words."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.attention_record import Projections, last_attention
from autobert_hf.lab.distilling.signals import Signals, attention_of, real_tokens, signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.distillation import Distillation
from autobert_hf.lab.losses.loss import Losses, Network, Step
from autobert_hf.lab.losses.masked_words import MaskedWords, sparse_prediction
from autobert_hf.lab.losses.relation_terms import Comparison, RelationTerm, relation_width


class Relations(Distillation):
    """
    Relations of the last layer in as many relation heads as the teacher has heads. Nothing is learned but the network,
    of which the last layer's output map, feed-forward network and norms get no gradient.
    """

    terms = {"relations": 1.0}
    comparison: ClassVar[Comparison] = "kl"

    def __init__(self, student: PreTrainedConfig, teacher: Teacher | None = None) -> None:
        super().__init__(student, teacher)
        self.compared = RelationTerm(self.teacher.heads, self.comparison)

    def check(self, smallest: PreTrainedConfig) -> None:
        _, last = [*smallest.layers()][-1]
        relation_width(last.num_attention_heads * last.head_dim, self.compared.heads)

    def items(self, batch: Batch) -> dict[str, int]:
        return {"relations": self.compared.count(real_tokens(batch))}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        share, theirs = self.items(batch)["relations"] / items["relations"], self.of_teacher(batch)

        def losses(network: Network) -> dict[str, Tensor]:
            ours = signals(network, batch)
            return {"relations": self.difference(attention_of(ours, "The student"), theirs, ours.real) * share}

        return losses

    def term(self, name: str, student: Signals, teacher: Signals) -> Tensor:
        theirs = self.compared.of(attention_of(teacher, "The teacher"), teacher.real)
        return self.difference(attention_of(student, "The student"), theirs, student.real)

    def of_teacher(self, batch: Batch) -> list[Tensor]:
        """The teacher's relations, made once for all networks of a batch."""
        theirs = self.teacher.signals(batch)
        return self.compared.of(attention_of(theirs, "The teacher"), theirs.real)

    def difference(self, student: Projections, theirs: list[Tensor], real: Tensor) -> Tensor:
        return self.compared.loss(self.compared.of(student, real), theirs, real)


class RelationsByProbability(Relations):
    """The paper's: squared differences of probabilities, which are small: T tokens share a sum of 1."""

    comparison = "mse"


class RelationsByScore(Relations):
    """The released code's: squared differences of scores. (It also counts pairs with padding.)"""

    comparison = "raw"


class MaskedWordsAndRelations(MaskedWords):
    """Masked words, and the paper's relations of the same masked text: both halves of AutoDistil's study of losses."""

    unit = "nats per masked token, and relations"
    needs_teacher = True

    def __init__(self, student: PreTrainedConfig, teacher: Teacher | None = None) -> None:
        super().__init__(student, teacher)
        self.relations = RelationsByProbability(student, teacher)

    def check(self, smallest: PreTrainedConfig) -> None:
        self.relations.check(smallest)

    def renewed(self, student: PreTrainedConfig) -> "MaskedWordsAndRelations":
        return type(self)(student, self.relations.teacher)

    def items(self, batch: Batch) -> dict[str, int]:
        return super().items(batch) | self.relations.items(batch)

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        theirs, real = self.relations.of_teacher(batch), real_tokens(batch)
        share, number = self.items(batch)["relations"] / items["relations"], max(items["mlm"], 1)

        def losses(network: Network) -> dict[str, Tensor]:
            with last_attention(network.config) as seen, sparse_prediction(network.config):
                out = network(**batch, num_items_in_batch=number)
            return {"mlm": out.loss, "relations": self.relations.difference(seen[0], theirs, real) * share}

        return losses

    def floor(self, text: Text) -> None:
        """Unknown: relations have none."""

    def floors(self, text: Text) -> dict[str, float]:
        return {}
