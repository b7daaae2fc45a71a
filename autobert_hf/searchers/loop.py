"""The search loop: ask, evaluate, journal, tell. After a kill, the same call resumes with the same trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.team import Team
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.rescoring import Rescoring, rescaled
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Proposal, Trial, is_rescoring, parse_trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.replay import Replay
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy


@dataclass
class Loop:
    """
    Evaluates what `strategy` proposes. Several processes (`team`) evaluate different candidates, unless the evaluator
    is exclusive, and produce the same trials as one process. What is in the journals is replayed, not evaluated again.

    Where shared weights change from round to round, the survivors are scored again at the beginning of a round, and
    after the last one the finalists: the best trials and the front, of which the study's winner is one. `on_trial` is
    called with each trial, `on_rescored` with all trials so far when their comparable scores have changed.
    """

    strategy: Strategy
    evaluator: Evaluator
    goals: Goals
    journal: Journal
    finalists: Journal
    team: Team
    seed: int
    pruner: Pruner | None = None
    on_trial: Callable[[Trial], object] = id
    on_rescored: Callable[[Sequence[Trial]], object] = id

    def __post_init__(self) -> None:
        self.replay = Replay(self.journal, self.team)
        self.at_once = 1 if self.evaluator.exclusive else self.team.size
        self.begun = -1  # the round that the evaluator has started
        self.recorded: list[Trial] = []  # as they were first scored
        self.rescorings: list[Rescoring] = []
        self.trials: list[Trial] = []  # with comparable scores

    def run(self, num_trials: int) -> Study:
        """
        Searches until the journal holds `num_trials` trials, failed ones included.

        Raises:
            JournalError: if the journal holds a record that this search would not have made there, or lacks lines
                that the evaluator's weights follow from.
        """
        self._check_lines()
        total = max(num_trials, sum(not is_rescoring(record) for record in self.journal.records))
        number, last = 0, list[Rescoring]()
        while len(self.trials) < total:
            first, size = len(self.trials), self.strategy.round_size()
            count = min(size, total - first)
            self._score_survivors(number)
            self._evaluate(number, [self.strategy.ask(first + offset) for offset in range(count)])
            self.strategy.tell(self.trials)
            if self.pruner is not None:
                self.pruner.tell(self.trials)
            if len(self.trials) == total:
                last = self._score_finalists(number)
            # A round cut short by the budget writes nothing back, so that a larger budget resumes it unchanged. One
            # followed by later records was ended by the process that made them.
            if count == size and self.replay.is_over:
                born = [trial for trial in self.strategy.survivors() if trial.id >= first]
                self.evaluator.end_round(number, born, self.journal.digests[-1])
                self._release(0)
            number += 1
        return Study("", self.goals, self.recorded, self.rescorings, last)

    def _check_lines(self) -> None:
        digest = self.evaluator.follows()
        if digest and digest not in self.journal.digests:
            raise JournalError(
                f"{self.journal.path} lacks lines that the weights in the run's folder follow from: they were cut off "
                "or changed. Restore the journal from a copy, or start again in a new --output-dir."
            )

    def _evaluate(self, number: int, proposals: Sequence[Proposal]) -> None:
        asked = list(enumerate(proposals, start=len(self.trials)))
        begin = partial(self._begin, number)
        for trial in self.replay.results(asked, self._replayed, self._evaluated, begin, self.at_once):
            self.recorded.append(trial)
            self.trials.append(trial)
            # What an earlier process kept depends on all of its trials, so nothing is released during the replay.
            if self.replay.is_over:
                self._release(self.strategy.parents_per_round)
            self.on_trial(trial)

    def _begin(self, number: int) -> None:
        if self.begun != number:
            self.evaluator.start_round(number)
            self.begun = number

    def _score_survivors(self, number: int) -> None:
        """Scores the survivors again, if their scores are of other weights than those of this round."""
        survivors = self.strategy.survivors()
        weights = self._weights(number) if survivors else ""
        old = [trial for trial in survivors if trial.weights != weights]
        again = self._scored_again(self.replay, number, old, weights)
        if again:
            self.rescorings += again
            self.trials = rescaled(self.trials, again)
            self.on_rescored(self.trials)

    def _weights(self, number: int) -> str:
        """The version of the weights in this round, which is about to begin: all of its records name it."""
        if not self.replay.is_over:
            return str(self.journal.records[self.replay.at].get("weights"))
        self._begin(number)
        return self.evaluator.weights()

    def _score_finalists(self, number: int) -> list[Rescoring]:
        """
        Scores the finalists with the weights of the last round, `number`, and lists them. The list is empty if all
        trials were scored with one version of the weights, so that there is nothing to decide, and if a search with a
        larger budget was interrupted after that round, whose weights are gone then.
        """
        weights = self.recorded[-1].weights
        if all(trial.weights == weights for trial in self.recorded):
            return []
        count, records = len(self.recorded), self.finalists.records
        replay = Replay(self.finalists, self.team, at=sum(record.get("after") != count for record in records))
        if replay.is_over and not self.evaluator.has_round(number):
            return []
        found = self._scored_again(replay, number, self._wanted(self.strategy.parents_per_round), weights)
        self.on_rescored(rescaled(self.trials, found))
        return found

    def _scored_again(self, replay: Replay, number: int, trials: Sequence[Trial], weights: str) -> list[Rescoring]:
        def recorded(trial: Trial, line: int, record: Mapping[str, Any]) -> Rescoring:
            found = Rescoring.parse(replay.journal.path, line, record, self._check_scores)
            if (found.rescored, found.after, found.weights) != (trial.id, len(self.recorded), weights):
                raise _other_record(replay.journal, line)
            return found

        def evaluated(trial: Trial) -> Rescoring:
            given = (trial.id, len(self.recorded), weights)
            if trial.weights == weights:
                return Rescoring(*given, trial.scores)
            try:
                scores, cost = self._scores(trial.id, trial.architecture, lambda step, scores: True)
            except TrainingError as error:
                return Rescoring(*given, status="failed", reason=f"scored again with {weights}: {error}")
            return Rescoring(*given, scores, cost)

        return list(replay.results(trials, recorded, evaluated, partial(self._begin, number), self.at_once))

    def _check_scores(self, found: Rescoring) -> None:
        if found.status == "done":
            self.goals.check(found.scores)

    def _release(self, parents: int) -> None:
        if self.evaluator.keeps_files:  # else nobody needs the ranking, which takes seconds for thousands of trials
            self.evaluator.release_except(self._wanted(parents), len(self.trials))

    def _wanted(self, parents: int) -> list[Trial]:
        """Trials whose weights are kept: possible parents, the best one, and the Pareto front."""
        goals = self.goals
        wanted = [*goals.ranked(self.trials)[:parents], *goals.best(self.trials)[:1], *goals.front(self.trials)]
        return list({trial.id: trial for trial in wanted}.values())

    def _scores(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """
        All scores of a candidate, and their cost.

        Raises:
            TrainingError: if it cannot be scored, or breaks a limit.
        """
        scores = self.evaluator.known(architecture)
        if broken := self.goals.limits.broken_by(scores):
            raise TrainingError(broken)
        with self.evaluator.failures():
            found, cost = self.evaluator.evaluate(trial_id, architecture, report)
        scores |= found
        self.goals.check(scores)
        if reason := self.goals.not_finite(scores) or self.goals.limits.broken_by(scores):
            raise TrainingError(reason)
        return scores, cost | {"process": self.team.rank}

    def _evaluated(self, asked: tuple[int, Proposal]) -> Trial:
        """Evaluates one candidate; one that cannot be scored becomes a failed trial with a reason."""
        trial_id, proposal = asked
        seed, partial, pruned = derive(self.seed, trial_id, "trial"), dict[str, Scores](), list[int]()
        weights = self.evaluator.weights()

        def report(step: int, scores: Scores) -> bool:
            partial[str(step)] = dict(scores)
            if self.pruner is not None and not self.pruner.go_on(step, self.goals.main.of(scores)):
                pruned.append(step)
            return not pruned

        try:
            scores, cost = self._scores(trial_id, proposal.architecture, report)
        except TrainingError as error:
            return Trial(trial_id, proposal, seed, status="failed", reason=str(error), weights=weights)
        status, reason = ("pruned", f"after step {pruned[0]}") if pruned else ("done", "")
        return Trial(trial_id, proposal, seed, scores, cost, status, reason, weights, partial)

    def _replayed(self, asked: tuple[int, Proposal], line: int, record: Mapping[str, Any]) -> Trial:
        trial = parse_trial(self.journal.path, line, record, lambda found: self.goals.ranked([found]))
        if (trial.id, trial.proposal) != asked:
            raise _other_record(self.journal, line)
        return trial


def _other_record(journal: Journal, line: int) -> JournalError:
    return JournalError(
        f"{journal.path}, line {line} holds another trial than this search makes there: it was changed by hand or "
        "written by another version. Restore it, or start again in a new --output-dir."
    )
