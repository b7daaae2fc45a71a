"""Fine-tuning with the Trainer and with Accelerate."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, EvalPrediction

from autobert_hf.lab.data.builtin_text import task

from .conftest import EXAMPLES, write_table


QUICK = ["--use_cpu", "--disable_tqdm", True, "--max_length", 32, "--learning_rate", 3e-3]


@pytest.fixture
def topics(tmp_path):
    return write_table(tmp_path / "data", train=task("topic", 48, 0), validation=task("topic", 16, 1))


def scores(trainer):
    return {entry["epoch"]: entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry}


def test_classification_goes_on_from_its_checkpoint(run, encoder, topics, tmp_path):
    command = ["fine_tune_classification.py", "--model", encoder, "--data", topics, *QUICK]
    command += ["--output_dir", tmp_path / "out", "--lr_scheduler_type", "constant", "--patience", 9]
    first = run(*command, "--num_train_epochs", 2)["trainer"]
    again = run(*command, "--num_train_epochs", 3)["trainer"]
    assert again.state.global_step == 18
    assert [again.state.log_history[0][key] for key in ("epoch", "eval_loss")] == [
        first.state.log_history[0][key] for key in ("epoch", "eval_loss")
    ]
    assert sorted(scores(again)) == [1, 2, 3]
    assert again.args.greater_is_better and again.args.metric_for_best_model == "accuracy"
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert saved.num_labels == 8


def test_regression_of_pairs_stops_early(run, encoder, tmp_path):
    pairs = [row | {"label": row["label"] + 0.5} for row in task("coreference", 24, 0)]
    data = write_table(tmp_path / "data", train=pairs, validation=pairs[:8])
    command = ["fine_tune_classification.py", "--model", encoder, "--data", data, *QUICK]
    command += ["--output_dir", tmp_path / "out", "--num_train_epochs", 5, "--patience", 1]
    names = run(*command, "--learning_rate", 0)  # nothing ever gets better
    assert names["trainer"].state.epoch == 2
    assert names["model"].config.problem_type == "regression"
    assert set(names["trainer"].evaluate()) >= {"eval_pearson", "eval_spearman"}


@pytest.mark.parametrize("script", ["fine_tune_accelerate.py", "fine_tune_classification.py"])
def test_tables_with_gaps_hidden_labels_and_a_class_of_its_own(run, encoder, tmp_path, script):
    rows = [row | {"label": (-1, 3, None, 7)[number % 4]} for number, row in enumerate(task("topic", 16, 0))]
    rows[1]["sentence"] = None
    validation = [row | {"label": label} for row, label in zip(rows[:4], (3, 7, 9, -1), strict=True)]
    data, out = write_table(tmp_path / "data", train=rows, validation=validation), tmp_path / "out"
    mine = [encoder, out, "--data", data, "--epochs", 1]
    trainer = ["--model", encoder, "--output_dir", out, "--data", data, *QUICK, "--num_train_epochs", 1]
    with pytest.warns(UserWarning, match="have the label -1"):
        run(script, *(mine if script == "fine_tune_accelerate.py" else trainer))
    saved = AutoModelForSequenceClassification.from_pretrained(out)
    assert saved.config.id2label == {0: "3", 1: "7", 2: "9"}


CONTEXT = "The cook melts the butter in the pan . The waiter tastes a sour soup and the baker counts the plates . " * 2
QUESTIONS = [("Who counts the plates ?", "the baker"), ("What does the waiter taste ?", "a sour soup")]


def question(text, answer):
    found = {"text": [answer], "answer_start": [CONTEXT.index(answer)]} if answer else {"text": [], "answer_start": []}
    return {"question": text, "context": CONTEXT, "answers": found}


@pytest.mark.parametrize("more", [[], [("Who steers the ship ?", "")]], ids=["1.1", "2.0"])
def test_question_answering(run, encoder, tmp_path, more):
    rows = [question(*both) for both in [*QUESTIONS, *more]]
    data = write_table(tmp_path / "data", train=rows, validation=rows)
    command = ["fine_tune_question_answering.py", "--model", encoder, "--data", data, *QUICK]
    names = run(*command, "--output_dir", tmp_path / "out", "--num_train_epochs", 1)
    windows = names["task"].validation
    assert len(windows) > len(rows)  # long contexts were split
    longest = max(len(window["spans"]) for window in windows)
    sides = np.full((2, len(windows), longest + 3), -100.0, dtype=np.float32)  # -100 is also how the Trainer pads
    for number, window in enumerate(windows):
        sides[:, number, : len(window["spans"])] = -5
        sides[0, number, window["start_positions"]] = sides[1, number, window["end_positions"]] = 5
    right = EvalPrediction(predictions=tuple(sides), label_ids=None)
    assert names["judge"](right) == {"exact_match": 1.0, "f1": 1.0}
    assert names["answers"](right)[:2] == [answer for _, answer in QUESTIONS]
    assert set(names["trainer"].evaluate()) >= {"eval_exact_match", "eval_f1"}
    if not more:  # goes on from its checkpoint, and stops where nothing gets better
        again = run(
            *command, "--output_dir", tmp_path / "out", "--num_train_epochs", 9, "--learning_rate", 0, "--patience", 1
        )
        assert 1 < again["trainer"].state.epoch < 9


def test_accelerate_on_one_process(run, encoder, topics, tmp_path, capsys):
    command = ["fine_tune_accelerate.py", encoder, tmp_path / "out", "--data", topics]
    run(*command, "--epochs", 1, "--batch-size", 5)
    assert "epoch 1 on 1 process(es): {'accuracy'" in capsys.readouterr().out
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").num_labels == 8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("script", ["fine_tune_accelerate.py", "fine_tune_classification.py"])
def test_launched_on_two_processes(encoder, topics, tmp_path, script):
    out = str(tmp_path / "out")
    mine = [str(encoder), out, "--data", str(topics), "--epochs", "1", "--cpu"]
    trainer = ["--model", str(encoder), "--output_dir", out, "--data", str(topics), "--max_steps", "3", "--use_cpu"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(EXAMPLES / "cpu2.yaml")]
    command = [*launch, str(EXAMPLES / script), *(mine if script == "fine_tune_accelerate.py" else trainer)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    if script == "fine_tune_accelerate.py":
        assert done.stdout.count("on 2 process(es)") == 1
    else:  # 48 rows, 8 for each process and step
        assert json.loads((tmp_path / "out" / "checkpoint-3" / "trainer_state.json").read_text())["epoch"] == 1
    assert AutoModelForSequenceClassification.from_pretrained(out).num_labels == 8
