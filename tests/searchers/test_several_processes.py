"""The loop on several processes: the trials of one, and a machine that is measured has one at work."""

import json
import time
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from accelerate import debug_launcher

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.strategies import Evolution

from .several import team_of, together


LOSS = Goals((GOALS["loss"],))
SPACE = AutoBertZeroSpace(num_hidden_layers=2)


class Machine(Evaluator):
    """What is measured on this machine is spoiled by whoever else is at work: `lock` is held by one at a time."""

    def __init__(self, exclusive: bool, lock: Lock, fails: int = -1) -> None:
        self.exclusive = exclusive
        self.lock = lock
        self.fails = fails
        self.met_somebody = False

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        if trial_id == self.fails:
            raise TrainingError("no number")
        alone = self.lock.acquire(blocking=False)
        self.met_somebody |= not alone
        time.sleep(0.02)
        if alone:
            self.lock.release()
        return {"loss": float(sum(map(ord, str(architecture))) % 997)}, {}


def search(path: Path, team: Team, evaluator: Evaluator, trials: int = 11) -> list[Trial]:
    strategy = Evolution(SPACE, LOSS, seed=0, population=5, parents=2, children=2)
    journals = (Journal(file, writer=team.is_main) for file in (path, path.with_name("finalists.jsonl")))
    return Loop(strategy, evaluator, LOSS, *journals, team, seed=0).run(trials).trials


def without_process(trials: list[Trial]) -> list[dict[str, Any]]:
    records = [trial.to_record() for trial in trials]
    for record in records:
        record["cost"].pop("process", None)
    return records


@pytest.mark.parametrize("fails", [-1, 6])
@pytest.mark.parametrize("exclusive", [False, True], ids=["side by side", "exclusive"])
@pytest.mark.parametrize("size", [2, 3])
def test_several_processes_make_the_trials_of_one(
    team: Team, tmp_path: Path, size: int, exclusive: bool, fails: int
) -> None:
    alone = search(tmp_path / "one.jsonl", team, Machine(exclusive, Lock(), fails))
    lock, judges = Lock(), {}

    def work(team: Team) -> list[Trial]:
        judges[team.rank] = Machine(exclusive, lock, fails)
        return search(tmp_path / "several.jsonl", team, judges[team.rank])

    found = together(size, work)
    assert all(trials == found[0] for trials in found)
    assert without_process(found[0]) == without_process(alone)
    lines = (tmp_path / "several.jsonl").read_text().splitlines()
    assert [json.loads(line)["trial"] for line in lines] == [*range(11)]
    made_by = {trial.cost["process"] for trial in found[0] if trial.ok}
    assert made_by == ({0} if exclusive else {*range(size)})
    assert any(judge.met_somebody for judge in judges.values()) == (not exclusive)


class OnDisk(Evaluator):
    """Notes on the disk when it was at work."""

    exclusive = True

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder = folder
        self.rank = rank

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        start = time.monotonic()
        time.sleep(0.05)
        (self.folder / f"{trial_id}.json").write_text(json.dumps([start, time.monotonic(), self.rank]))
        return {"loss": float(trial_id)}, {}


def search_on_this_process(folder: str) -> None:
    team = team_of(2)
    trials = search(Path(folder) / "journal.jsonl", team, OnDisk(Path(folder), team.rank), trials=7)
    (Path(folder) / f"process-{team.rank}").write_text(json.dumps([trial.id for trial in trials]))


@pytest.mark.slow
def test_two_real_processes_measure_one_after_the_other(tmp_path: Path) -> None:
    debug_launcher(search_on_this_process, (str(tmp_path),), num_processes=2)
    assert [json.loads((tmp_path / f"process-{rank}").read_text()) for rank in (0, 1)] == [[*range(7)]] * 2
    times = sorted(json.loads(path.read_text()) for path in tmp_path.glob("[0-9].json"))
    assert len(times) == 7
    assert all(end <= start for (_, end, _), (start, _, _) in zip(times, times[1:], strict=False))
