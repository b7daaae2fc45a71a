"""The loop with an evaluator of paper: what is in the journal is never done again, and everything else once."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import GOALS, Goals, Limits
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.loop import Loop
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.strategies import STRATEGIES, FixedList, RandomSearch, Roulette, RoundRobin


LOSS = Goals((GOALS["loss"],))
SPACE = AutoBertZeroSpace(num_hidden_layers=2)


class Paper(Evaluator):
    """Scores by looking at the text of the architecture; writes down what it was asked, in order."""

    keeps_files = True

    def __init__(self, fails: Sequence[int] = (), error: Exception | None = None, dies: int | None = None) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.fails, self.error, self.dies = fails, error, dies
        self.round = -1

    def start_round(self, number: int) -> None:
        self.asked.append(("start", number))
        self.round = number

    def known(self, architecture: Architecture) -> Scores:
        return {"parameters": float(len(str(architecture)))}

    def weights(self) -> str:
        return "the only ones"

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        if trial_id == self.dies:
            raise KeyboardInterrupt
        self.asked.append(("evaluate", trial_id))
        if trial_id in self.fails and self.error:
            raise self.error
        return {"loss": sum(map(ord, str(architecture))) % 997 / 100 + 0.001}, {"tokens": 7}

    def release_except(self, trials: Sequence[Trial], known: int) -> None:
        self.asked.append(("keep", [trial.id for trial in trials]))

    def end_round(self, number: int, born_parents: Sequence[Trial], digest: str) -> None:
        self.asked.append(("end", (number, [trial.id for trial in born_parents], digest)))

    def of_kind(self, kind: str) -> list[Any]:
        return [value for name, value in self.asked if name == kind]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def strategy_of(name: str, seed: int = 3) -> Any:
    """Rounds of 5, then, where there are parents, of 4 (two children of two parents) each: 0-4, 5-8, 9-12."""
    if name == "fixed-list":
        return FixedList([SPACE.sample(Random(number)) for number in range(13)], round=5)
    if name == "round-robin":
        return RoundRobin([kind(SPACE, LOSS, seed, 5, 5, 1) for kind in (Roulette, RandomSearch)])
    return STRATEGIES[name](SPACE, LOSS, seed, population=5, parents=2, children=2)


@pytest.fixture
def run(team: Team) -> Any:
    def run(
        path: Path,
        evaluator: Evaluator | None = None,
        num_trials: int = 13,
        strategy: str = "op-nas",
        seed: int = 3,
        goals: Goals = LOSS,
    ) -> list[Trial]:
        judge = evaluator or Paper()
        journals = Journal(path), Journal(path.with_name("finalists.jsonl"))
        return Loop(strategy_of(strategy, seed), judge, goals, *journals, team, seed).run(num_trials).trials

    return run


def test_every_trial_is_on_the_disk_as_it_was_made(run: Any, path: Path) -> None:
    trials = run(path)
    assert [trial.id for trial in trials] == list(range(13))
    assert [Trial.from_record(record) for record in Journal(path).records] == trials
    assert len({trial.seed for trial in trials}) == 13
    assert all(trial.scores["loss"] > 0 and trial.cost == {"tokens": 7, "process": 0} for trial in trials)
    assert all(trial.scores["parameters"] == len(str(trial.architecture)) for trial in trials), "the known scores too"
    assert {trial.weights for trial in trials} == {"the only ones"}


def test_an_evaluator_without_files_is_not_told_which_are_needed(run: Any, path: Path) -> None:
    """To rank thousands of trials after each of them takes longer than to measure them."""
    evaluator = Paper()
    evaluator.keeps_files = False
    run(path, evaluator)
    assert evaluator.of_kind("end")
    assert not evaluator.of_kind("keep")


def test_the_order_of_a_search(run: Any, path: Path) -> None:
    evaluator = Paper()
    trials = run(path, evaluator, num_trials=9)
    best = [t.id for t in LOSS.ranked(trials[:5])]
    later = [t.id for t in LOSS.ranked(trials)]
    assert evaluator.asked[0] == ("start", 0)
    assert evaluator.of_kind("evaluate") == list(range(9))
    assert evaluator.of_kind("end") == [
        (0, best[:2], Journal(path).digests[5]),
        (1, [i for i in later[:2] if i >= 5], Journal(path).digests[9]),
    ]
    assert {trial.proposal.parent for trial in trials[5:]} == set(best[:2])
    keeps = evaluator.of_kind("keep")
    assert keeps[0] == [0]
    assert keeps[4:6] == [best[:2], best[:1]], "after the last trial all next parents, after the round the best one"


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_replayed_journal_gives_the_same_trials_and_work_is_done_once(run: Any, path: Path, name: str) -> None:
    whole = run(path, strategy=name)
    evaluator = Paper()
    assert run(path, evaluator, strategy=name) == whole
    assert evaluator.of_kind("evaluate") == evaluator.of_kind("start") == []
    assert len(evaluator.of_kind("end")) <= 1, "only of the last round is it not known whether it was ended"


@pytest.mark.parametrize("dies", range(13))
def test_killed_at_any_trial_the_rest_is_the_same(run: Any, path: Path, tmp_path: Path, dies: int) -> None:
    uninterrupted, killed, resumed = Paper(), Paper(dies=dies), Paper()
    whole = run(tmp_path / "whole", uninterrupted)
    with pytest.raises(KeyboardInterrupt):
        run(path, killed)
    assert run(path, resumed) == whole
    assert killed.of_kind("evaluate") + resumed.of_kind("evaluate") == list(range(13))
    ends = killed.of_kind("end") + resumed.of_kind("end")
    assert {number for number, *_ in ends} == {0, 1, 2}
    assert [end for end in ends if end[0] == 1][0] == uninterrupted.of_kind("end")[1]


@pytest.mark.parametrize("dies", range(1, 13))
def test_nothing_is_thrown_away_during_a_replay(run: Any, path: Path, dies: int) -> None:
    """Else the children that the killed process kept would go while its first trials are read again."""
    with pytest.raises(KeyboardInterrupt):
        run(path, Paper(dies=dies))
    resumed = Paper()
    trials = run(path, resumed)
    first = resumed.of_kind("keep")[0]
    assert first == [t.id for t in LOSS.ranked(trials[:dies])[:2]]


def test_a_cut_round_hands_nothing_back_until_it_is_whole(run: Any, path: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    cut = Paper()
    assert run(path, cut, num_trials=7) == whole[:7]
    assert [number for number, *_ in cut.of_kind("end")] == [0]
    longer = Paper()
    assert run(path, longer, num_trials=11) == whole[:11]
    assert longer.of_kind("evaluate") == [7, 8, 9, 10]
    assert [number for number, *_ in longer.of_kind("end")] == [1]
    assert run(path) == whole


def test_a_smaller_budget_still_knows_all_trials(run: Any, path: Path) -> None:
    whole = run(path, num_trials=11)
    evaluator = Paper()
    assert run(path, evaluator, num_trials=2) == whole
    assert evaluator.of_kind("evaluate") == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingError("the loss is nan at step 2"), "the loss is nan at step 2"),
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out of memory"),
    ],
)
def test_a_candidate_that_fails_is_a_trial(run: Any, path: Path, error: Exception, reason: str) -> None:
    fails = (0, 3, 6)
    trials = run(path, Paper(fails, error))
    assert [trial.id for trial in trials if not trial.ok] == list(fails)
    assert {trial.reason for trial in trials if not trial.ok} == {reason}
    assert len(trials) == 13, "it has its place in the budget"
    assert not {trial.proposal.parent for trial in trials} & set(fails)
    assert run(path) == trials, "and is not tried again"


def test_a_search_in_which_all_fail_ends(run: Any, path: Path) -> None:
    trials = run(path, Paper(range(13), TrainingError("no number")))
    assert {trial.status for trial in trials} == {"failed"}
    assert {trial.proposal.parent for trial in trials} == {None}


def test_mistakes_of_ours_are_no_trials(run: Any, path: Path) -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        run(path, Paper((2,), RuntimeError("a bug")))
    assert len(Journal(path).records) == 2


def edited(path: Path, line: int, **changes: Any) -> None:
    records = Journal(path).records
    records[line] |= changes
    path.unlink()
    journal = Journal(path)
    for record in records:
        journal.append(record)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"layers": [{"layer_type": "conv", "conv_kernel_size": 3}] * 2, "settings": {}}},
        {"trial": 4},
        {"parent": 1},
        {"mutation": "by hand"},
    ],
)
def test_another_trial_in_its_place(run: Any, path: Path, changes: dict[str, Any]) -> None:
    run(path)
    edited(path, 2, **changes)
    with pytest.raises(
        JournalError, match=r"journal\.jsonl, line 3 holds another trial.*changed by hand.*--output-dir"
    ):
        run(path)


@pytest.mark.parametrize(
    "changes",
    [{"architecture": {}}, {"architecture": []}, {"architecture": {"layers": ["conv"], "settings": {}}}]
    + [{"scores": {}}, {"scores": {"loss": "small"}}, {"scores": None}],
)
def test_no_trial_in_its_place(run: Any, path: Path, changes: dict[str, Any]) -> None:
    run(path)
    edited(path, 2, **changes)
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 3 is not a trial .*: restore it"):
        run(path)


def test_a_score_improved_by_hand_shows_in_the_children(run: Any, path: Path) -> None:
    trials = run(path)
    (worst,) = LOSS.ranked(trials[:5])[-1:]
    edited(path, worst.id, scores={"loss": 0.0001})
    with pytest.raises(JournalError, match="line [6-9] holds another trial"):
        run(path)


def test_another_seed_is_another_search(run: Any, path: Path) -> None:
    run(path)
    with pytest.raises(JournalError, match="line 1 holds another trial"):
        run(path, seed=4)


def test_limits_are_checked_before_anything_is_trained(run: Any, path: Path, tmp_path: Path) -> None:
    sizes = sorted(trial.scores["parameters"] for trial in run(tmp_path / "all", num_trials=5))
    evaluator, goals = Paper(), Goals(LOSS.goals, Limits({"parameters": sizes[2]}))
    trials = run(path, evaluator, num_trials=5, goals=goals)
    within = [trial.id for trial in trials if len(str(trial.architecture)) <= sizes[2]]
    assert 0 < len(within) < 5
    assert [trial.id for trial in trials if trial.ok] == evaluator.of_kind("evaluate") == within
    assert {trial.reason.split(",")[-1] for trial in trials if not trial.ok} == {f" the limit is {sizes[2]:.0f}"}


class Wrong(Paper):
    def __init__(self, scores: Scores) -> None:
        super().__init__()
        self.scores = scores

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        return dict(self.scores), {}


def test_a_score_that_is_not_finite_is_a_failed_trial(run: Any, path: Path) -> None:
    trials = run(path, Wrong({"loss": float("nan")}), num_trials=2)
    assert [trial.status for trial in trials] == ["failed"] * 2
    assert "loss" in trials[0].reason and "nan" in trials[0].reason
    assert "NaN" not in path.read_text(), "which JSON does not know"


def test_a_goal_without_a_score_is_a_mistake_that_is_named(run: Any, path: Path) -> None:
    with pytest.raises(ValueError, match="The goal 'loss' has no score; there are scores for 'parameters', 'size'"):
        run(path, Wrong({"size": 1.0}))
    assert not path.exists()


class Kept(Paper):
    """Keeps the digest of the last round, as weights on disk do."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = ""

    def end_round(self, number: int, born_parents: Sequence[Trial], digest: str) -> None:
        self.digest = digest

    def follows(self) -> str:
        return self.digest


def test_lines_cut_off_behind_a_round_are_noticed(run: Any, path: Path) -> None:
    evaluator = Kept()
    trials = run(path, evaluator, num_trials=9)
    assert run(path, evaluator, num_trials=9) == trials
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-1]))
    with pytest.raises(JournalError, match="journal.jsonl lacks lines that the weights .* follow from: .* cut off"):
        run(path, evaluator, num_trials=9)
