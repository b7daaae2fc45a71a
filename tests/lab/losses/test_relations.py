"""AutoDistil's relations, written out: three comparisons, any number of heads, what is left over, what learns."""

from typing import Any

import pytest
import torch
from torch import Tensor

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.distilling.attention_record import Projections
from autobert_hf.lab.distilling.signals import DistillationError, signals
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.losses.relation_terms import Comparison, RelationTerm, relation_width
from autobert_hf.modeling.convert import from_bert

from ..teaching import NO_DROPOUT, SIZES, batch, enlarged


NAMES: dict[str, Comparison] = {"relations-kl": "kl", "relations-mse": "mse", "relations-raw": "raw"}


def network(heads: int, **more: int) -> AutoBertModel:
    sizes = SIZES | NO_DROPOUT | {"num_attention_heads": heads, "head_dim": 5, "hidden_size": 16} | more
    with torch.random.fork_rng():
        torch.manual_seed(heads)
        return enlarged(AutoBertModel(AutoBertConfig(**sizes), add_pooling_layer=False))


def by_hand(comparison: str, ours: Any, theirs: Any, heads: int) -> Tensor:
    """The sum over queries, keys and values of the mean over heads and (pairs of) real tokens, row by row."""
    total, count = torch.zeros(()), 0
    for row, real in enumerate(ours.real):
        tokens = int(real.sum())
        count += heads * tokens * (1 if comparison == "kl" else tokens)
        for name in ("query", "key", "value"):
            both = []
            for one in (ours, theirs):
                joined = getattr(one.attention, name)[row].transpose(0, 1)[:tokens].flatten(1)
                width = joined.shape[1] // heads
                parts = joined[:, : heads * width].view(tokens, heads, width).transpose(0, 1)
                both.append(parts @ parts.mT / width**0.5)
            if comparison == "kl":
                logs = [one.log_softmax(-1) for one in both]
                total = total + (logs[1].exp() * (logs[1] - logs[0])).sum()
            else:
                both = [one.softmax(-1) for one in both] if comparison == "mse" else both
                total = total + (both[0] - both[1]).square().sum()
    return total / count


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("heads", [1, 2, 3, 7])
def test_relations_by_hand_for_every_number_of_heads(teacher: Teacher, name: str, heads: int) -> None:
    """The teacher has 4 heads; 1, 3 and 7 heads of 5 features leave 1, 3 and 3 features over."""
    student, rows = network(heads), batch()
    loss = LOSSES[name](student.config, teacher)
    with torch.no_grad():
        expected = by_hand(NAMES[name], signals(student, rows), teacher.signals(rows), heads=4)
        found = loss(rows, loss.items(rows), Step())(student)["relations"]
    assert expected > 1e-5
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_has_nothing_to_learn_from_itself_and_padding_changes_nothing(teacher: Teacher, name: str) -> None:
    same, other = from_bert(teacher.model), network(3)
    loss = LOSSES[name](same.config, teacher)
    with torch.no_grad():
        assert loss(batch(), loss.items(batch()), Step())(same)["relations"].item() < 1e-6
        values = [loss(rows, loss.items(rows), Step())(other)["relations"] for rows in (batch(), batch(tokens=14))]
    torch.testing.assert_close(values[0], values[1])


def test_a_mask_added_to_both_scores_changes_no_difference_of_real_pairs(teacher: Teacher) -> None:
    """As in the released code, which adds -10,000 to the scores of padding in student and teacher."""
    rows, term = batch(), RelationTerm(4, "raw")
    with torch.no_grad():
        ours, theirs = signals(network(3), rows), teacher.signals(rows)
        pair = [term.of(one.attention, rows["attention_mask"].bool()) for one in (ours, theirs)]
        added = (1 - rows["attention_mask"][:, None, None].float()) * -10_000
        masked = [[part + added for part in one] for one in pair]
        torch.testing.assert_close(term.loss(*pair, ours.real), term.loss(*masked, ours.real))


@pytest.mark.parametrize(("heads", "used"), [(7, 444), (8, 504), (9, 576), (10, 636), (11, 696), (12, 768)])
def test_features_that_are_left_over_are_cut_off(heads: int, used: int) -> None:
    """As in the released code: 12 relation heads of a twelfth of 64 features a head, rounded down."""
    assert 12 * relation_width(64 * heads, 12) == used
    queries = torch.randn(1, heads, 3, 64, generator=torch.Generator().manual_seed(0))
    rest = queries.transpose(1, 2).flatten(2).clone()
    rest[..., used:] = 1e3
    changed = rest.unflatten(-1, (heads, 64)).transpose(1, 2)
    real = torch.ones(1, 3).bool()
    one, other = (RelationTerm(12).of(Projections(x, x, x, 1.0), real)[0] for x in (queries, changed))
    assert torch.equal(one, other)
    rest[..., used - 1] += 1.0
    last = rest.unflatten(-1, (heads, 64)).transpose(1, 2)
    assert not torch.equal(RelationTerm(12).of(Projections(last, last, last, 1.0), real)[0], one)


def test_a_split_of_zero_width_is_refused(teacher: Teacher) -> None:
    narrow = network(1, head_dim=3)
    loss = LOSSES["relations-mse"](narrow.config, teacher)
    said = "3 features cannot be split into 4 relation heads, each would have a width of zero: give the students more"
    with pytest.raises(DistillationError, match=said):
        loss.check(narrow.config)
    with pytest.raises(DistillationError, match=said):
        loss(batch(), loss.items(batch()), Step())(narrow)
    loss.check(network(1).config)
    both = LOSSES["mlm+relations"](narrow.config, teacher)
    with pytest.raises(DistillationError, match=said):
        both.check(narrow.config)


@pytest.mark.parametrize("name", NAMES)
def test_relations_train_what_comes_before_the_last_attention_alone(teacher: Teacher, name: str) -> None:
    student = network(3).train()
    loss = LOSSES[name](student.config, teacher)
    assert not [*loss.parameters()]
    loss(batch(), loss.items(batch()), Step())(student)["relations"].backward()
    last = f"encoder.layers.{len(student.encoder.layers) - 1}."
    untrained = {name for name, one in student.named_parameters() if one.grad is None or not one.grad.any()}
    behind = ("mixer.output", "mixer_norm", "feed_forward")
    assert {name for name in untrained if "key.bias" not in name and "position" not in name} == {
        name for name, _ in student.named_parameters() if name.startswith(tuple(last + part for part in behind))
    }


def test_masked_words_and_relations_are_the_sum_of_both(teacher: Teacher) -> None:
    sizes = SIZES | NO_DROPOUT | {"hidden_size": 16, "head_dim": 5}
    student = enlarged(AutoBertForMaskedLM(AutoBertConfig(**sizes)))
    labels = torch.full_like(batch()["input_ids"], -100)
    labels[:, 1] = 7
    rows = batch() | {"labels": labels}
    both = LOSSES["mlm+relations"](student.config, teacher)
    alone = LOSSES["relations-mse"](student.config, teacher)
    with torch.no_grad():
        found = both(rows, both.items(rows), Step())(student)
        words = MaskedWords(student.config)(rows, {"mlm": 4}, Step())(student)
        relations = alone(rows, alone.items(rows), Step())(student.base_model)
    assert both.items(rows) == {"mlm": 4} | alone.items(rows)
    torch.testing.assert_close(found, words | relations)
