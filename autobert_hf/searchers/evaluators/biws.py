"""
Bi-branch weight sharing (BIWS, AutoBERT-Zero section 3.2): a candidate inherits its weights from the supernet, trains
for a few steps, is scored, and, once it becomes a parent, hands what it learned back.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.tasks.proxy_task import Task
from autobert_hf.lab.training.trainer import Batch, Recipe, Trainer, TrainingError, evaluate
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.files import read_tensors, write_tensors
from autobert_hf.records.goals import Limits, arithmetic_scores
from autobert_hf.records.journal import JournalError
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.task_scores import task_scores
from autobert_hf.searchers.supernets.branched import Supernet


@dataclass
class Biws:
    """
    All children of a round start from the round's weights and see the same batches. Each finished child lies in
    `folder` before its journal line is written; a round's end writes the next parents back, worst first and best
    last, into the weights of the next round, a file that names the number of journal lines it contains. So a
    process may die anywhere: what is there is enough to go on, and nothing counts twice.
    """

    supernet: Supernet
    batches: MaskedBatches
    held_out: list[Batch]
    recipe: Recipe
    accelerator: Accelerator
    folder: Path
    limits: Limits = Limits({})
    tasks: Sequence[Task] = ()

    def start_round(self, number: int) -> None:
        """
        Loads the weights that every child of this round starts from.

        Raises:
            JournalError: if they are gone, as when the journal was cut back behind the end of a round.
        """
        if not self.round_file(number).exists():
            raise JournalError(
                f"{self.folder} holds no weights of round {number}, where the journal stands: restore both from one "
                "copy, or start again in a new --output-dir."
            )
        self.round = number
        self.weights, metadata = read_tensors(self.round_file(number))
        self.seen_tokens = int(metadata["seen_tokens"])

    def evaluate(self, trial_id: int, architecture: Architecture) -> tuple[dict[str, float], dict[str, float]]:
        """
        Scores (held-out `loss` in nats a masked token, `parameters`, `flops` at length 128; with proxy tasks each
        task's score and `task_score`, their mean) and cost.

        Raises:
            TrainingError: if the candidate is too large, which costs nothing, or the loss is no number.
        """
        started = time.monotonic()
        scores = arithmetic_scores(architecture.to_config(self.supernet.base))
        if broken := self.limits.broken_by(scores):
            raise TrainingError(broken)
        self.supernet.model.load_state_dict(self.weights, strict=False)
        self.supernet.activate(architecture)
        trainer = Trainer(self.supernet.model, self.recipe, self.accelerator)
        trainer.run(lambda step: self.batches.batch("round", self.round, step=step))
        scores["loss"] = evaluate(self.supernet.model, self.held_out, self.accelerator)
        scores |= self.task_scores(architecture)
        write_tensors(self.child_file(trial_id), self.supernet.active_parameters(), trial=trial_id)
        cost = {
            "seconds": round(time.monotonic() - started, 3),
            "tokens": self.tokens_per_child,
            "inherited_tokens": self.seen_tokens,
        }
        return scores, cost

    def task_scores(self, architecture: Architecture) -> dict[str, float]:
        if not self.tasks:
            return {}
        return task_scores(self.supernet.extract(architecture), self.tasks, self.accelerator, self.batches.seed)

    @property
    def tokens_per_child(self) -> int:
        return self.recipe.steps * self.batches.tokens_per_batch

    def keep(self, trials: Sequence[Trial], known: int) -> None:
        """Of the first `known` children, those that can no longer become parents free their space."""
        if self.accelerator.is_main_process:
            wanted = {self.child_file(trial.id) for trial in trials}
            for path in set(self.folder.glob("child-*.safetensors")) - wanted:
                if int(path.stem.removeprefix("child-")) < known:
                    path.unlink()

    def end_round(self, number: int, born_parents: Sequence[Trial], journal_lines: int) -> None:
        """Writes this round's children that became parents (best first) back; does nothing when that is done."""
        if self.accelerator.is_main_process and not self.round_file(number + 1).exists():
            self.start_round(number)
            self.supernet.model.load_state_dict(self.weights, strict=False)
            for trial in reversed(born_parents):
                state, _ = read_tensors(self.child_file(trial.id))
                self.supernet.write(trial.architecture, state)
            seen = self.seen_tokens + (self.tokens_per_child if born_parents else 0)
            self.save_round(number + 1, journal_lines, seen)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.round_file(number).unlink(missing_ok=True)

    def save_round(self, number: int, journal_lines: int, seen_tokens: int) -> None:
        """The supernet's present weights, trained on `seen_tokens`, become those of round `number`."""
        weights = dict(self.supernet.model.named_parameters())
        path = self.round_file(number)
        write_tensors(path, weights, journal_lines=journal_lines, seen_tokens=seen_tokens)

    def round_file(self, number: int) -> Path:
        return self.folder / f"round-{number:04d}.safetensors"

    def child_file(self, trial_id: int) -> Path:
        return self.folder / f"child-{trial_id:06d}.safetensors"
