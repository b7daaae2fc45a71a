"""Losses by their name for `--loss`."""

from autobert_hf.lab.losses.blocks import BlockDistillation
from autobert_hf.lab.losses.distillation import RelationsAndStates, ScoresAndStates, SentencesAndStates
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.losses.masked_words import MaskedWords, MaskedWordsAndPairs
from autobert_hf.lab.losses.next_words import NextWords
from autobert_hf.lab.losses.relations import (
    MaskedWordsAndRelations,
    Relations,
    RelationsByProbability,
    RelationsByScore,
)
from autobert_hf.lab.losses.replaced_tokens import ReplacedTokens


__all__ = ["LOSSES", "Loss"]

LOSSES: dict[str, type[Loss]] = {
    "mlm": MaskedWords,
    "mlm+nsp": MaskedWordsAndPairs,
    "rtd": ReplacedTokens,
    "next-words": NextWords,
    "paper": ScoresAndStates,
    "relations": RelationsAndStates,
    "relations-kl": Relations,
    "relations-mse": RelationsByProbability,
    "relations-raw": RelationsByScore,
    "mlm+relations": MaskedWordsAndRelations,
    "blocks": BlockDistillation,
    "sentences": SentencesAndStates,
}
