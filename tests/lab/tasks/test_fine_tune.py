"""A fine-tuning learns, repeats for its seed, and leaves the network that it started from as it was."""

import json
import math
import random
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.tasks.fine_tune import Buckets, FineTuning, collate, fine_tune, new_head, predict
from autobert_hf.lab.tasks.proxy_task import Task, load_task
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import TrainingError


RECIPE = FineTuning(epochs=4, batch_size=16, learning_rate=1e-2)


def write(folder: Path, rows: list[dict[str, object]]) -> str:
    folder.mkdir(exist_ok=True)
    for name, part in (("train", rows[:240]), ("validation", rows[240:])):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, part)))
    return str(folder)


def sentences(values: bool = False) -> list[dict[str, object]]:
    """Words below w27 are bad, the others good: a label that any network can learn."""
    draw, rows = random.Random(0), []
    for _ in range(340):
        good = draw.random()
        words = [draw.randrange(28, 55) if draw.random() < good else draw.randrange(27) for _ in range(12)]
        share = sum(word > 27 for word in words[: draw.randrange(3, 13)]) / 12
        text = " ".join(f"w{word}" for word in words)
        rows.append({"sentence": text, "label": share if values else int(share > 0.3)})
    return rows


@pytest.fixture
def task(tmp_path: Path, tokenizer: BertTokenizer) -> Task:
    return load_task(write(tmp_path / "classes", sentences()), tokenizer, 20)


def test_classes_are_learnt_and_the_seed_decides(model: AutoBertForMaskedLM, task: Task, team: Team) -> None:
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.random.get_rng_state()
    score = fine_tune(model, task, team, 1, RECIPE)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    assert fine_tune(model, task, team, 1, RECIPE) == score > 0.75
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert (model.config.num_labels, model.config.problem_type) == (2, None)
    untrained = fine_tune(model, task, team, 1, FineTuning(epochs=1, learning_rate=1e-9))
    assert untrained < score - 0.1


def test_values_are_learnt(model: AutoBertForMaskedLM, tokenizer: BertTokenizer, team: Team, tmp_path: Path) -> None:
    task = load_task(write(tmp_path / "values", sentences(values=True)), tokenizer, 20)
    assert task.kind == "regression"
    assert fine_tune(model, task, team, 0, RECIPE) > 0.5


def test_answers_are_learnt(model: AutoBertForMaskedLM, tokenizer: BertTokenizer, team: Team, tmp_path: Path) -> None:
    """The answer is the one word above w49."""
    draw, rows = random.Random(0), []
    for _ in range(340):
        words = [f"w{draw.randrange(50)}" for _ in range(9)]
        words.insert(draw.randrange(9), f"w{draw.randrange(50, 55)}")
        context = " ".join(words)
        answer = next(word for word in words if int(word[1:]) > 49)
        answers = {"text": [answer], "answer_start": [context.index(answer)]}
        rows.append({"question": "w1", "context": context, "answers": answers})
    task = load_task(write(tmp_path / "questions", rows), tokenizer, 20)
    assert fine_tune(model, task, team, 0, RECIPE) > 0.6


def test_the_encoder_is_copied_and_the_head_is_new(
    model: AutoBertForMaskedLM, config: AutoBertConfig, task: Task
) -> None:
    head = new_head(model, task)
    theirs = model.base_model.state_dict()
    copied = head.base_model.state_dict()
    assert all(torch.equal(tensor, copied[name]) for name, tensor in theirs.items())
    assert set(copied) - set(theirs) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert head.config.num_labels == 2
    assert head.config.problem_type == "single_label_classification"
    assert head.config._attn_implementation == model.config._attn_implementation
    pooled = AutoBertModel(config)
    assert torch.equal(new_head(pooled, task).base_model.pooler.dense.weight, pooled.pooler.dense.weight)


def test_batches_hold_every_row_once_an_epoch_and_rows_of_like_length(task: Task) -> None:
    rows = [{"input_ids": [5] * (1 + number % 40)} for number in range(330)]
    batches = Buckets(rows, 16, seed=0, padding=0)
    order = batches.order(0)
    assert sorted(sum(order, [])) == list(range(330))
    spread = [max(number % 40 for number in batch) - min(number % 40 for number in batch) for batch in order]
    assert sum(spread) / len(spread) < 5
    assert order == batches.order(0) != batches.order(1)
    assert order != Buckets(rows, 16, seed=1, padding=0).order(0)
    real = Buckets(task.train, 16, seed=0, padding=0)
    assert [len(real.batch(step)["labels"]) for step in range(15)] == [16] * 15


def test_padding_is_marked(task: Task) -> None:
    rows = [{"input_ids": [2, 7, 3], "token_type_ids": [0, 0, 0], "labels": 1}]
    rows.append({"input_ids": [2, 7, 3, 8, 3], "token_type_ids": [0, 0, 0, 1, 1], "labels": 0})
    batch = {name: tensor.tolist() for name, tensor in collate(rows, padding=9).items()}
    assert batch == {
        "input_ids": [[2, 7, 3, 9, 9], [2, 7, 3, 8, 3]],
        "attention_mask": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]],
        "token_type_ids": [[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]],
        "labels": [1, 0],
    }


def test_predictions_come_in_the_order_of_the_rows_whatever_the_batch(
    model: AutoBertForMaskedLM, task: Task, team: Team
) -> None:
    head = new_head(model, task)
    one, many = (torch.stack(predict(head, task.validation, team, size)) for size in (1, 32))
    torch.testing.assert_close(one, many)
    first = collate(task.validation[:1], 0)
    torch.testing.assert_close(head(first["input_ids"]).logits[0], one[0])
    assert not one.requires_grad


def test_a_loss_that_is_no_number(model: AutoBertForMaskedLM, task: Task, team: Team) -> None:
    with torch.no_grad():
        model.autobert.embeddings.word_embeddings.weight.fill_(math.nan)
    with pytest.raises(TrainingError, match="the loss is nan at step 0: lower the learning rate"):
        fine_tune(model, task, team, 0, RECIPE)
    with pytest.raises(TrainingError, match="not finite"):
        predict(new_head(model, task), task.validation, team, 16)
