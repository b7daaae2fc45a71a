"""Losses against a teacher: what they compare, what padding does to them (nothing), where they start, their floor."""

import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.distilling.attention_record import last_attention
from autobert_hf.lab.distilling.ridge import ridge
from autobert_hf.lab.losses.distillation import (
    PAPER,
    RELATIONS,
    SENTENCES,
    Distillation,
    DistillationError,
    linear_floor,
    relation_loss,
    score_loss,
    sentence_loss,
    signals,
)
from autobert_hf.modeling.convert import from_bert
from autobert_hf.modeling.slicing import Cut, LayerCut
from autobert_hf.modeling.subnetwork import Sliceable


SIZES = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 32, "max_position_embeddings": 16}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def enlarged(model: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


def batch(seed: int = 0, tokens: int = 9) -> dict[str, torch.Tensor]:
    ids = torch.randint(1, 40, (4, 9), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(tokens) < torch.tensor([[9], [5], [7], [2]])).long()
    return {"input_ids": torch.nn.functional.pad(ids, (0, tokens - 9)), "attention_mask": mask}


@pytest.fixture(scope="module")
def teacher() -> BertModel:
    return enlarged(BertModel(BertConfig(**SIZES), add_pooling_layer=False))


@pytest.fixture(scope="module")
def student() -> AutoBertModel:
    sizes = SIZES | NO_DROPOUT | {"hidden_size": 16, "head_dim": 5}
    return enlarged(AutoBertModel(AutoBertConfig(**sizes), add_pooling_layer=False))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("model", ["teacher", "student"])
def test_recorded_scores_are_those_behind_the_attention_probabilities(request, model, implementation):
    network = request.getfixturevalue(model)
    network.set_attn_implementation("eager")
    with torch.no_grad():
        expected = network(**batch(), output_attentions=True)
        network.set_attn_implementation(implementation)
        seen = signals(network, batch())
    keys = batch()["attention_mask"].bool()[:, None, None]
    probabilities = seen.attention.scores.masked_fill(~keys, -torch.inf).softmax(-1)
    torch.testing.assert_close(probabilities, expected.attentions[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen.hidden, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert network.config._attn_implementation == implementation


def test_recording_ends_with_an_error_too(student):
    before = student.config._attn_implementation
    with pytest.raises(ZeroDivisionError), last_attention(student.config):
        raise ZeroDivisionError
    assert student.config._attn_implementation == before


def test_other_encoders_can_teach(student):
    bert = DistilBertModel(DistilBertConfig(vocab_size=40, dim=24, n_layers=1, n_heads=4, hidden_dim=32))
    loss = Distillation(bert, 16, PAPER)(batch())(student)
    assert loss.isfinite() and loss > 0
    assert Distillation(bert, 16)._teacher[0].config.hidden_size == 24


@pytest.mark.parametrize("terms", [PAPER, RELATIONS, SENTENCES], ids=["paper", "relations", "sentences"])
def test_the_teacher_has_nothing_to_learn_from_itself(teacher, terms):
    loss = Distillation(teacher, 24, terms, relation_heads=6)(batch())
    assert loss(from_bert(teacher)).item() < 1e-6


@pytest.mark.parametrize("terms", [PAPER, RELATIONS, SENTENCES], ids=["paper", "relations", "sentences"])
def test_padding_changes_nothing(teacher, student, terms):
    distillation = Distillation(teacher, 16, terms, relation_heads=4)
    losses = [distillation(rows)(student) for rows in (batch(), batch(tokens=14))]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=1e-5)
    alone = {name: value[:1] for name, value in batch().items()}
    torch.testing.assert_close(
        distillation(alone)(student), distillation({"input_ids": alone["input_ids"]})(student), atol=1e-5, rtol=1e-5
    )


def test_the_losses_by_hand(teacher, student):
    """One sentence without padding, each loss written out."""
    rows = {name: value[:1] for name, value in batch().items()}
    with torch.no_grad():
        ours, theirs = signals(student, rows), signals(teacher, rows)
        scores = [
            one.attention.query @ one.attention.key.mT / one.attention.query.shape[-1] ** 0.5 for one in (ours, theirs)
        ]
        torch.testing.assert_close(score_loss(ours, theirs), (scores[0] - scores[1]).square().mean())
        expected = torch.zeros(())
        for name in ("query", "key", "value"):
            logs = []
            for one in (theirs, ours):
                joined = getattr(one.attention, name)[0].transpose(0, 1).reshape(9, -1)
                parts = joined.view(9, 2, -1).transpose(0, 1)
                logs.append((parts @ parts.mT / parts.shape[-1] ** 0.5).log_softmax(-1))
            expected += (logs[0].exp() * (logs[0] - logs[1])).sum(-1).mean()
        torch.testing.assert_close(relation_loss(ours, theirs, heads=2), expected)


def test_sentence_loss_compares_cosines_of_mean_pooled_sentences(teacher, student):
    rows = batch()
    with torch.no_grad():
        ours, theirs = signals(student, rows), signals(teacher, rows)
        cosines = []
        for one in (ours, theirs):
            pooled = torch.stack(
                [h[m].mean(0) for h, m in zip(one.hidden, rows["attention_mask"].bool(), strict=True)]
            )
            unit = torch.nn.functional.normalize(pooled, dim=-1)
            cosines.append(unit @ unit.T)
    torch.testing.assert_close(sentence_loss(ours, theirs), (cosines[0] - cosines[1]).square().mean())


def test_only_student_and_map_learn(teacher, student):
    distillation = Distillation(teacher, 16, PAPER)
    assert {name for name, _ in distillation.named_parameters()} == {"map.weight", "map.bias"}
    distillation(batch())(student).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in distillation.parameters())
    assert student.encoder.layers[0].mixer.query.weight.grad.abs().sum() > 0
    student.zero_grad()


def test_sub_networks_use_the_first_columns_of_the_map(teacher, student):
    distillation = Distillation(teacher, 16, PAPER)
    whole = Sliceable(student)
    cut = Cut(9, 9, (LayerCut(1, 4, 3, 20),))
    loss = distillation(batch())
    torch.testing.assert_close(loss(whole.part(cut)), loss(whole.extract(cut)), atol=1e-6, rtol=1e-6)
    loss(whole.part(cut)).backward()
    gradient = distillation.map.weight.grad
    assert gradient[:, :9].abs().min() > 0 and gradient[:, 9:].abs().max() == 0
    student.zero_grad()


def test_a_map_started_at_the_ridge_is_the_best_there_is(teacher, student):
    distillation = Distillation(teacher, 16, {"relative_hidden": 1.0})
    batches = [batch(seed) for seed in range(6)]
    mean = lambda: torch.stack([distillation(rows)(student) for rows in batches]).mean().item()  # noqa: E731
    at_random = mean()
    distillation.start_at_ridge(student, batches)
    best = mean()
    assert best < 0.9 * at_random
    for parameter in distillation.parameters():
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 0.02)
                assert mean() > best
                parameter.sub_(sign * 0.02)


def test_ridge_finds_a_linear_map_and_knows_the_variance():
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = torch.randn(200, 5, generator=generator), torch.randn(3, 5), torch.randn(3)
    y = x @ weight.T + bias
    fitted = ridge([(x[:70], y[:70]), (x[70:], y[70:])], strength=1e-9)
    for found, true in zip(fitted.solve(), (weight, bias), strict=True):
        torch.testing.assert_close(found, true, atol=1e-4, rtol=1e-4)
    assert fitted.variance == pytest.approx(y.var(0, correction=0).mean().item(), rel=1e-5)


def test_the_linear_floor_is_zero_for_a_teacher_that_does_not_mix(teacher):
    bare = enlarged(
        AutoBertModel(
            AutoBertConfig(**SIZES, per_layer_config={i: {"skip": ["mixer", "feed_forward"]} for i in (0, 1)})
        )
    )
    batches = [batch(seed) for seed in range(8)]
    assert linear_floor(bare, batches[:6], batches[6:]) < 1e-3
    assert linear_floor(teacher, batches[:6], batches[6:]) > 0.05


def test_what_cannot_be_compared_is_named(teacher, student):
    fewer = enlarged(
        AutoBertModel(AutoBertConfig(**(SIZES | NO_DROPOUT | {"num_attention_heads": 3, "hidden_size": 15})))
    )
    with pytest.raises(DistillationError, match="The student has 3 heads in its last layer, the teacher 4"):
        Distillation(teacher, 15, PAPER)(batch())(fewer)
    with pytest.raises(DistillationError, match="15 features cannot be divided into 4 relation heads"):
        Distillation(teacher, 15, RELATIONS, relation_heads=4)(batch())(fewer)
    with pytest.raises(DistillationError, match=r"no loss \['logits'\]; there are scores, hidden, relations"):
        Distillation(teacher, 15, {"logits": 1.0})
    skips = {index: {"skip": ["mixer"]} for index in (0, 1)}
    control = AutoBertModel(AutoBertConfig(**SIZES, **NO_DROPOUT, per_layer_config=skips))
    with pytest.raises(DistillationError, match="The student's attention does not go through"):
        Distillation(teacher, 24, PAPER)(batch())(control)
    assert Distillation(teacher, 24, {"relative_hidden": 1.0})(batch())(control).isfinite()
