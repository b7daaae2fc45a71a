"""
Progressive shrinking (NAS-BERT, Xu et al., 2021; MAGIC, Xu et al., 2022): the training of a supernet goes on in
rounds, after each of which the worse half of the candidates is removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from autobert_hf.lab.data.batches import Batches
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.damage import way_out
from autobert_hf.records.goals import Goals
from autobert_hf.records.journal import JournalError, read_journal
from autobert_hf.records.study import journal_file
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.policies.survivors import Survivors
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.strategies.fixed_list import FixedList


@dataclass(frozen=True)
class Shrinking:
    """
    The first `warmup` share of the steps trains the whole space. The other steps are shared out to as many rounds as
    it takes until no more than `least` candidates remain; each round trains those that remain, then `evaluator` judges
    them all and the better half by `goals` stays. The training ends with the last round.

    Everything follows from the checkpoint and from the journals of the rounds (`journal-NAME-1.jsonl`, ...): after a
    kill the rounds before are replayed, and the set that they left is the one that the training goes on with.
    """

    run: Run
    evaluator: Evaluator
    goals: Goals
    least: int
    warmup: float = 0.3
    name: str = "round"

    def __call__(
        self, weights: str, trainer: Trainer, batches: Batches, policy: Survivors, candidates: Sequence[Architecture]
    ) -> list[Architecture]:
        """
        Trains `weights` of the run to the end of the trainer's recipe; `policy` is the one that `trainer` trains by.
        Returns the candidates that remain, best first.

        Raises:
            ValueError: if there are fewer steps than rounds.
            TrainingError: if the loss is no number, or none of the candidates of a round could be judged.
            JournalError: if the journal of a round lacks lines that the weights follow from.
        """
        sizes, remaining = halvings(len(candidates), self.least), [*candidates]
        begin, *ends = round_ends(trainer.recipe.steps, self.warmup, len(sizes))
        self.run.train(weights, trainer, batches, until=begin)
        policy.remaining = remaining
        for number, (size, end) in enumerate(zip(sizes, ends, strict=True), start=1):
            self.run.train(weights, trainer, batches, until=end)
            step = trainer.recipe.steps if self.run.has_trained(weights) else trainer.step
            if step > end:
                self._check_lines(f"{self.name}-{number}", len(remaining))
            policy.remaining = remaining = self._better(remaining, size, f"{self.name}-{number}")
        self.run.train(weights, trainer, batches)  # what is left where there was no round
        return remaining

    def _check_lines(self, name: str, number: int) -> None:
        """The weights are later ones than those that judged in this round, which cannot be repeated."""
        path = journal_file(self.run.path, name)
        if (held := len(read_journal(path))) < number:
            raise JournalError(
                f"{path} holds {held} of {number} lines that the weights in the run's folder follow from. "
                f"{way_out(path)}"
            )

    def _better(self, candidates: Sequence[Architecture], size: int, name: str) -> list[Architecture]:
        study = self.run.study(FixedList(candidates), self.evaluator, self.goals, len(candidates), name=name)
        return [trial.architecture for trial in self.goals.ranked(study.trials)[:size]]


def halvings(number: int, least: int) -> list[int]:
    """How many of `number` candidates remain after each round: half of them, but no fewer than `least`."""
    sizes = []
    while number > least:
        number = max(number // 2, least)
        sizes.append(number)
    return sizes


def round_ends(steps: int, warmup: float, rounds: int) -> list[int]:
    """
    The step at which the warm-up ends, and those at which the rounds do: the last step for the last of them.

    Raises:
        ValueError: if a round, or the warm-up, would have no step.
    """
    begin = round(warmup * steps)
    ends = [begin, *(begin + (steps - begin) * number // rounds for number in range(1, rounds + 1))]
    if begin < 1 or len(set(ends)) < len(ends):
        raise ValueError(
            f"{steps} training steps of the supernet are too few for a warm-up of {warmup:g} of them and {rounds} "
            "rounds of shrinking: give more --supernet-steps, or fewer --candidates."
        )
    return ends
