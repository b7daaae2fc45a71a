"""The search loop: ask, evaluate, journal, tell. After a kill, the same call resumes with the same trials."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autobert_hf.lab.losses.loss import TrainingError
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import memory_errors
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial, parse_trial
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Scores
from autobert_hf.searchers.strategies.strategy import Pruner, Strategy


@dataclass
class Loop:
    """
    Evaluates what `strategy` proposes. Several processes (`team`) evaluate different candidates, unless the evaluator
    is exclusive, and produce the same trials as one process. Trials in the journal are replayed, not evaluated again.
    """

    strategy: Strategy
    evaluator: Evaluator
    goals: Goals
    journal: Journal
    team: Team
    seed: int
    pruner: Pruner | None = None
    on_trial: Callable[[Trial], object] = id

    def run(self, num_trials: int) -> list[Trial]:
        """
        Searches until the journal holds `num_trials` trials, failed ones included; returns all its trials, in order.

        Raises:
            JournalError: if the journal holds a trial that this search would not have proposed there, or lacks lines
                that the evaluator's weights follow from.
        """
        self._check_lines()
        trials: list[Trial] = []
        number, records = 0, self.journal.records
        total = max(num_trials, len(records))
        while len(trials) < total:
            first, size = len(trials), self.strategy.round_size()
            count = min(size, total - first)
            proposals = [self.strategy.ask(first + offset) for offset in range(count)]
            if first + count > len(records):
                self.evaluator.start_round(number)
            for trial in self._trials(first, proposals):
                trials.append(trial)
                # What an earlier process kept depends on all of its trials, so nothing is released during the replay.
                if len(trials) == len(records):
                    self.evaluator.release_except(self._wanted(trials, self.strategy.parents_per_round), len(trials))
                self.on_trial(trial)
            self._tell(trials[first:])
            # A round cut short by the budget writes nothing back, so that a larger budget resumes it unchanged. One
            # followed by later trials was ended by the process that made them.
            if count == size and len(trials) == len(records):
                born = [trial for trial in self.strategy.survivors() if trial.id >= first]
                self.evaluator.end_round(number, born, self.journal.digests[-1])
                self.evaluator.release_except(self._wanted(trials, 0), len(trials))
            number += 1
        return trials

    def _check_lines(self) -> None:
        digest = self.evaluator.follows()
        if digest and digest not in self.journal.digests:
            raise JournalError(
                f"{self.journal.path} lacks lines that the weights in the run's folder follow from: they were cut off "
                "or changed. Restore the journal from a copy, or start again in a new --output-dir."
            )

    def _tell(self, trials: Sequence[Trial]) -> None:
        self.strategy.tell(trials)
        if self.pruner is not None:
            self.pruner.tell(trials)

    def _wanted(self, trials: Sequence[Trial], parents: int) -> list[Trial]:
        """Trials whose weights are kept: possible parents, the best one, and the Pareto front."""
        goals = self.goals
        wanted = [*goals.ranked(trials)[:parents], *goals.best(trials)[:1], *goals.front(trials)]
        return list({trial.id: trial for trial in wanted}.values())

    def _trials(self, first: int, proposals: Sequence[Proposal]) -> Iterator[Trial]:
        """The trials of a round in order: those in the journal, then new ones, one per process at a time."""
        asked = list(enumerate(proposals, start=first))
        replayed = [(trial_id, proposal) for trial_id, proposal in asked if trial_id < len(self.journal.records)]
        for trial_id, proposal in replayed:
            yield self._replayed(trial_id, proposal)
        size = 1 if self.evaluator.exclusive else self.team.size
        for start in range(len(replayed), len(asked), size):
            mine = asked[start : start + size][self.team.rank : self.team.rank + 1]
            for trial in self.team.gather_in_order([self._evaluated(*one) for one in mine]):
                self.journal.append(trial.to_record())
                yield trial

    def _evaluated(self, trial_id: int, proposal: Proposal) -> Trial:
        """Evaluates one candidate; one that cannot be scored becomes a failed trial with a reason."""
        seed, partial, pruned = derive(self.seed, trial_id, "trial"), dict[str, Scores](), list[int]()

        def report(step: int, scores: Scores) -> bool:
            partial[str(step)] = dict(scores)
            if self.pruner is not None and not self.pruner.go_on(step, self.goals.main.of(scores)):
                pruned.append(step)
            return not pruned

        try:
            scores = self.evaluator.known(proposal.architecture)
            if broken := self.goals.limits.broken_by(scores):
                raise TrainingError(broken)
            with memory_errors():
                found, cost = self.evaluator.evaluate(trial_id, proposal.architecture, report)
            scores |= found
            self.goals.check(scores)
            if reason := self.goals.not_finite(scores) or self.goals.limits.broken_by(scores):
                raise TrainingError(reason)
        except (TrainingError, MemoryError) as error:
            return Trial(trial_id, proposal, seed, status="failed", reason=str(error) or "out of memory")
        status, reason = ("pruned", f"after step {pruned[0]}") if pruned else ("done", "")
        cost |= {"process": self.team.rank}
        return Trial(trial_id, proposal, seed, scores, cost, status, reason, self.evaluator.weights(), partial)

    def _replayed(self, trial_id: int, proposal: Proposal) -> Trial:
        line, record = trial_id + 1, self.journal.records[trial_id]
        trial = parse_trial(self.journal.path, line, record, lambda found: self.goals.ranked([found]))
        if trial.id != trial_id or trial.proposal != proposal:
            raise JournalError(
                f"{self.journal.path}, line {line} holds another trial than this search makes there: it was changed "
                "by hand or written by another version. Restore it, or start again in a new --output-dir."
            )
        return trial
