"""
Bi-branch weight sharing (BIWS, AutoBERT-Zero section 3.2): a candidate inherits its weights from the supernet, trains
for a few steps, is scored, and, if it becomes a parent, writes its weights back.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer, load_tensors, named_tensors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import JournalError
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.tensor_files import fitting, read_metadata, read_tensors, write_tensors
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.evaluators.arithmetic import arithmetic_on
from autobert_hf.searchers.evaluators.candidate_tasks import CandidateTasks
from autobert_hf.searchers.evaluators.evaluator import Evaluator, Report, Scores
from autobert_hf.searchers.supernets.branched import BranchedSupernet


class Biws(Evaluator):
    """
    All children of a round, and the parents that are scored again in it, start from the same weights and see the same
    batches. A finished child is saved in `folder` before its journal line is written. The end of a round writes the
    round's new parents back, worst first and best last, into the weights of the next round; that file records the
    digest of the last journal line. A process may therefore be killed at any time: the files suffice to resume, and
    nothing is applied twice. Parameters of the loss start anew with every child.
    """

    keeps_files = True

    def __init__(
        self,
        supernet: BranchedSupernet,
        loss: Loss,
        text: Text,
        recipe: Recipe,
        team: Team,
        folder: Path,
        tasks: CandidateTasks | None = None,
    ) -> None:
        self.supernet = supernet
        supernet.module.to(team.device)  # type: ignore[arg-type]  # a decorator of transformers hides the method
        self.loss = loss.to(team.device)
        self.text = text
        self.recipe = recipe
        self.team = team
        self.folder = folder
        self.tasks = tasks
        self.held_out = HeldOut(loss, text.held_out, team)
        self.arithmetic = arithmetic_on(supernet.base)
        self.round = 0
        self.version = 0  # the round that the weights were made for; one without new parents leaves them as they are
        self.tensors: dict[str, Tensor] = {}
        self.seen_tokens = 0

    def begun(self) -> bool:
        """Whether weights of any round exist; the warm-up saves those of round 0."""
        return any(self.folder.glob("round-*.safetensors"))

    def has_round(self, number: int) -> bool:
        return self.round_file(number).exists()

    def start_round(self, number: int) -> None:
        """
        Loads the weights that every child of this round starts from.

        Raises:
            JournalError: if they are missing, e.g. because the journal was cut back to before the end of a round.
        """
        if not self.round_file(number).exists():
            raise JournalError(
                f"{self.folder} holds no weights of round {number}, which the journal has reached: restore both from "
                "one copy, or start again in a new --output-dir."
            )
        self.round = number
        self.tensors, metadata = read_tensors(self.round_file(number))
        self.version = int(metadata.get("version", 0))  # the warm-up's file has none
        self.seen_tokens = int(metadata["tokens"])

    def go_on_in(self, folder: Path) -> None:
        """
        Continues with a copy of the last round's weights in `folder`; the previous folder stays unchanged.

        Raises:
            RunError: if no round has weights yet.
        """
        if not self.begun():
            raise RunError(f"{self.folder} holds no warmed-up supernet: let the search go on first.")
        last = max(self.folder.glob("round-*.safetensors"))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(last, folder / last.name)
        self.folder = folder
        self.start_round(int(last.stem.removeprefix("round-")))
        self.restore()

    def restore(self) -> None:
        """Restores the round's weights in the supernet and the loss."""
        with fitting(self.round_file(self.round)):
            load_tensors(self.tensors, self.supernet.module, self.loss)

    def known(self, architecture: Architecture) -> Scores:
        return self.arithmetic(architecture)

    def evaluate(self, trial_id: int, architecture: Architecture, report: Report) -> tuple[Scores, Scores]:
        """Held-out `loss`, and with proxy tasks each task's score and `task_score`, their mean."""
        started = time.monotonic()
        self.restore()
        child = self.supernet.network(architecture)
        team = self.team.alone()
        trainer = Trainer(self.supernet.module, self.loss, lambda step, shard: [child], self.recipe, team)
        trainer.run(self.text.stream("round", self.version))
        scores = {"loss": self.held_out(self.supernet.network(architecture, training=False))}
        if self.tasks is not None and self.tasks.specifications:
            scores |= self.tasks.scores(self.supernet.extract(architecture))
        write_tensors(self.child_file(trial_id), self.supernet.views(architecture), trial=trial_id)
        cost = {
            "seconds": round(time.monotonic() - started, 3),
            "tokens": self.tokens_per_child,
            "inherited_tokens": self.seen_tokens,
        }
        return scores, cost

    def noise(self, trial: Trial) -> float | None:
        """Of the held-out loss with the trial's kept weights; None with proxy tasks, or if they were not kept."""
        if (self.tasks is not None and self.tasks.specifications) or not self.child_file(trial.id).exists():
            return None
        self.inherit(trial)
        return self.held_out.noise(self.supernet.network(trial.architecture, training=False))

    def untouched_loss(self, architecture: Architecture) -> float:
        """The held-out loss with the round's weights, without training."""
        self.restore()
        return self.held_out(self.supernet.network(architecture, training=False))

    def weights(self) -> str:
        return f"round {self.version}"

    @property
    def tokens_per_child(self) -> int:
        return self.recipe.steps * self.text.train.tokens_per_batch

    def release_except(self, trials: Sequence[Trial], known: int) -> None:
        if self.team.is_main:
            wanted = {self.child_file(trial.id) for trial in trials}
            for path in set(self.folder.glob("child-*.safetensors")) - wanted:
                if int(path.stem.removeprefix("child-")) < known:
                    path.unlink()

    def end_round(self, number: int, born_parents: Sequence[Trial], digest: str) -> None:
        """Writes back this round's children that became parents, unless that was done before."""
        if self.team.is_main and not self.round_file(number + 1).exists():
            self.start_round(number)
            self.restore()
            for trial in reversed(born_parents):
                self.inherit(trial)
            if born_parents:
                self.version = number + 1
                self.seen_tokens += self.tokens_per_child
            self._save_round(number + 1, digest)
        self.team.wait()
        if self.team.is_main:
            self.round_file(number).unlink(missing_ok=True)

    def follows(self) -> str:
        rounds = [*self.folder.glob("round-*.safetensors")]
        return read_metadata(max(rounds)).get("journal", "") if rounds else ""

    def _save_round(self, number: int, digest: str) -> None:
        """Saves the supernet's current weights for round `number`, with the loss's parameters of this round."""
        learned = {f"model.{name}": tensor for name, tensor in named_tensors(self.supernet.module).items()}
        path = self.round_file(number)
        more = {"journal": digest, "tokens": self.seen_tokens, "version": self.version}
        write_tensors(path, self.tensors | learned, **more)

    @torch.no_grad()
    def inherit(self, trial: Trial) -> None:
        """Loads the weights of a candidate's short training into the supernet; FileNotFoundError without them."""
        path = self.child_file(trial.id)
        state, _ = read_tensors(path)
        with fitting(path):
            self.supernet.write(trial.architecture, state)

    def round_file(self, number: int) -> Path:
        return self.folder / f"round-{number:04d}.safetensors"

    def child_file(self, trial_id: int) -> Path:
        return self.folder / f"child-{trial_id:06d}.safetensors"
