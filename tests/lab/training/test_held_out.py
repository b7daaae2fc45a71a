"""The held-out score is sums over sums: nothing depends on how the rows are cut into batches."""

import math
from collections.abc import Mapping

import pytest
import torch
from torch.nn import functional
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.losses.loss import Loss, Losses, Score, Step, TrainingError
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.team import Team


@pytest.fixture
def whole(rows: torch.Tensor, tokenizer: BertTokenizer) -> Batch:
    (batch,) = MaskedBatches(rows, tokenizer, 52, seed=1).held_out(52)
    return batch


@pytest.fixture
def trained(model: AutoBertForMaskedLM) -> AutoBertForMaskedLM:
    """Some words are liked far better than others, so that batches differ much."""
    with torch.no_grad():
        model.predictions.decoder.bias.normal_(generator=torch.Generator().manual_seed(0)).mul_(3)
    return model.eval()


def cut(whole: Batch, *ends: int) -> list[Batch]:
    starts = (0, *ends[:-1])
    return [{name: t[start:end] for name, t in whole.items()} for start, end in zip(starts, ends, strict=True)]


def test_it_is_the_mean_over_all_labelled_tokens(
    trained: AutoBertForMaskedLM, config: AutoBertConfig, whole: Batch, team: Team
) -> None:
    """Equal to the plain formula on dense logits, for batches of 3, 37 and 12 rows; the mean of their means is not."""
    loss, uneven = MaskedWords(config), cut(whole, 3, 40, 52)
    with torch.no_grad():
        logits = trained(whole["input_ids"]).logits
    expected = functional.cross_entropy(logits.flatten(0, 1), whole["labels"].flatten()).item()
    assert HeldOut(loss, [whole], team)(trained) == pytest.approx(expected, rel=1e-5)
    assert HeldOut(loss, uneven, team)(trained) == pytest.approx(expected, rel=1e-5)
    means = [HeldOut(loss, [batch], team)(trained) for batch in uneven]
    assert abs(sum(means) / 3 - expected) > 1e-3


def test_it_leaves_the_network_in_evaluation_mode_and_without_gradients(
    trained: AutoBertForMaskedLM, config: AutoBertConfig, whole: Batch, team: Team
) -> None:
    HeldOut(MaskedWords(config), [whole], team)(trained)
    assert not trained.training and trained.config.sparse_prediction is False
    assert all(parameter.grad is None for parameter in trained.parameters())


class TwoTerms(Loss):
    """Two means over unlike items: each has its own denominator."""

    unit = "items"
    asked = 0

    def items(self, batch: Batch) -> dict[str, int]:
        return {"rows": len(batch["a"]), "ones": 1}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        raise AssertionError("held-out text is scored, not learned")

    def score(self, batch: Batch) -> Score:
        self.asked += 1

        def score(network: object) -> Mapping[str, tuple[float, int]]:
            return {"rows": (float(batch["a"].sum()), len(batch["a"])), "ones": (float(batch["b"].sum()), 1)}

        return score


def test_terms_are_divided_by_their_own_items_and_batches_are_prepared_once(
    trained: AutoBertForMaskedLM, config: AutoBertConfig, team: Team
) -> None:
    batches = [{"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([4.0])}]
    batches.append({"a": torch.tensor([10.0]), "b": torch.tensor([8.0])})
    loss = TwoTerms(config)
    held_out = HeldOut(loss, batches, team)
    assert held_out(trained) == held_out(trained) == 16 / 4 + 12 / 2
    assert loss.asked == 2


def test_a_score_that_is_no_number(
    trained: AutoBertForMaskedLM, config: AutoBertConfig, whole: Batch, team: Team
) -> None:
    with torch.no_grad():
        trained.predictions.decoder.bias[7] = math.inf
    with pytest.raises(TrainingError, match="the held-out loss is (nan|inf): lower the learning rate"):
        HeldOut(MaskedWords(config), [whole], team)(trained)
