"""The supernet's training as a phase of a run: it goes on where it was stopped, and is there once it is done."""

from collections.abc import Callable, Sequence

from tqdm.auto import tqdm

from autobert_hf.lab.training.trainer import Clock, Recipe
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.files import read_tensors, write_tensors
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.supernets.sliced import Objective, SlicedSupernet, SupernetTrainer, Trainee


CHECKPOINT_SECONDS = 30


class SupernetPhase:
    """`weights.safetensors` holds supernet and objective when all is done, `training.safetensors` the state before."""

    def __init__(self, job: Job, supernet: SlicedSupernet, objective: Objective) -> None:
        self.job = job
        self.supernet = supernet
        self.objective = objective
        self.weights = job.path / "supernet" / "weights.safetensors"
        self.checkpoint = job.path / "supernet" / "training.safetensors"

    def load(self) -> None:
        """Raises FileNotFoundError before the training has ended."""
        if not self.weights.exists():
            raise FileNotFoundError(self.weights)
        state, _ = read_tensors(self.weights)
        Trainee(self.supernet.model, self.objective).load_state_dict(state, strict=False)

    def run(self, sample: Callable[[int, int], Sequence[Architecture]], steps: int) -> None:
        """Trains, or loads what was trained."""
        done = self.weights.exists()
        self.job.accelerator.wait_for_everyone()
        if not done:
            self._train(sample, Recipe(steps, self.job.settings.learning_rate, warmup=0.1, decay=0.3))
        elif self.job.is_main:
            self.checkpoint.unlink(missing_ok=True)
        self.job.accelerator.wait_for_everyone()
        self.load()

    def _train(self, sample: Callable[[int, int], Sequence[Architecture]], recipe: Recipe) -> None:
        job, clock = self.job, Clock(CHECKPOINT_SECONDS)
        trainer = SupernetTrainer(self.supernet, self.objective, sample, recipe, job.accelerator)
        if self.checkpoint.exists():
            trainer.load(self.checkpoint)
        bar = tqdm(total=recipe.steps, initial=trainer.step, desc="supernet", unit="step", disable=not job.is_main)

        def after(step: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if job.is_main and clock.rings():
                trainer.save(self.checkpoint)

        with bar:
            trainer.run(lambda step: job.batches.batch("supernet", step=step), on_step=after)
        if job.is_main:
            write_tensors(self.weights, dict(trainer.model.named_parameters()), steps=recipe.steps)
            self.checkpoint.unlink(missing_ok=True)
