"""Studies of a run: by name, with a journal and goals of their own."""

import json

import pytest

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.study import Study, StudyError
from autobert_hf.searchers.evaluators.function import FunctionEvaluator
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.strategies import Evolution


SPACE = AutoBertZeroSpace(num_hidden_layers=2)
BOTH = Goals((GOALS["loss"], GOALS["parameters"]))


def strategy(goals=BOTH):
    return Evolution(SPACE, goals, seed=0, population=4, parents=2, children=2)


def scores(architecture):
    text = str(architecture)
    return {"loss": float(sum(map(ord, text)) % 97), "parameters": float(len(text))}


def evaluator(function=scores, catch=()):
    return FunctionEvaluator(function, ["loss"], catch)


def test_what_a_study_leaves_is_what_it_returns(run):
    study = run.study(strategy(), evaluator(), BOTH, 8)
    read = Study.read(run.path, num_trials=8)
    assert read.trials == study.trials
    assert read.complete and study.complete
    assert [goal.name for goal in read.goals.goals] == ["loss", "parameters"]
    front = json.loads((run.path / "report" / "front.json").read_text())["trials"]
    assert front == [trial.id for trial in study.front()] == [trial.id for trial in read.front()]
    assert not Study.read(run.path, num_trials=9).complete


def test_studies_of_one_run_have_a_journal_each(run):
    main = run.study(strategy(), evaluator(), BOTH, 4)
    loss = Goals((GOALS["loss"],))
    stage = run.study(strategy(loss), evaluator(), loss, 6, name="stage-1")
    assert sorted(path.name for path in run.path.glob("*.jsonl")) == ["journal-stage-1.jsonl", "journal.jsonl"]
    reports = [f"{what}{name}.json" for what in ("budget", "front", "goals") for name in ("-stage-1", "")]
    assert sorted(path.name for path in (run.path / "report").iterdir()) == reports
    assert (len(main.trials), len(stage.trials)) == (4, 6)
    assert run.study(strategy(), evaluator(pytest.fail), BOTH, 4).trials == main.trials
    assert (stage.name, main.name) == ("stage-1", "")


def test_a_study_in_which_all_fail_says_why(run):
    def broken(architecture):
        raise OSError("no such data set")

    with pytest.raises(
        TrainingError, match=r"None of 3 candidates could be trained; the last: OSError: no such data set\."
    ):
        run.study(strategy(), evaluator(broken, (OSError,)), BOTH, 3)
    with pytest.raises(StudyError, match="None of 3 trials has finished"):
        Study.read(run.path).best  # noqa: B018 (looked up late)
