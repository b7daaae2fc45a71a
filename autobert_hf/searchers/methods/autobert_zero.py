"""
AutoBERT-Zero (Gao et al., AAAI 2022): a bi-branch supernet is warmed up, OP-NAS searches a formula or a convolution
for every layer, the winner is trained from scratch.

| paper | here | deviation |
| --- | --- | --- |
| 3.1 search space | spaces/autobert_zero.py, spaces/formulas.py | path limits are parameters, the paper gives none |
| 3.2 BIWS | supernet.py, evaluators/biws.py | short warm-up by single paths; the next parents are written back |
| 3.3 OP-NAS, Eq. 3 | strategies/op_nas.py | scores z-scored over the history; alpha, temperature are parameters |
| 4.1 fitness: mean GLUE score | evaluators/biws.py | held-out loss, or `--proxy-task` with a short recipe |
| 4.1 objective: MLM and NSP | lab/sentence_pairs.py | MLM alone, or `--objective mlm+nsp` |
| 4.1 final training | this file | `--final-training inherit` as an alternative; a BERT of equal size beside it |
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tqdm.auto import tqdm

from autobert_hf.lab.training.trainer import Batch, Clock, Recipe, Trainer
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.modeling_autobert import AutoBertLanguageModel
from autobert_hf.records.files import read_tensors
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.equal_bert import equal_bert
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.policies.single_path import single_path
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.settings.search_settings import SearchSettings, described
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.formulas import FormulaSampler
from autobert_hf.searchers.strategies import STRATEGIES
from autobert_hf.searchers.supernets.branched import Supernet


@dataclass
class AutoBertZeroSettings(SearchSettings):
    LEAST = (
        SearchSettings.LEAST
        | {"alpha": 0, "warmup_steps": 0, "candidate_steps": 0}
        | dict.fromkeys(("population", "parents", "children", "min_path", "max_path"), 1)
    )

    population: int = described("Random candidates of the first round.", 25)
    parents: int = described("Best candidates that have children in a round (K of the paper).", 5)
    children: int = described("Children of each parent.", 5)
    alpha: float = described("Weight of exploration in the upper confidence bound (op-nas).", 0.5)
    temperature: float = described("Of the softmax over upper confidence bounds (op-nas).", 0.5)
    min_path: int = described("Fewest primitives of a formula.", 3)
    max_path: int = described("Most primitives of a formula.", 12)

    warmup_steps: int = described("Single-path training steps of the supernet before the search.", 400)
    candidate_steps: int = described("Training steps of each candidate, from inherited weights.", 20)
    candidate_learning_rate: float = described("Rate of the candidates.", 5e-4)
    final_training: Literal["scratch", "inherit"] = described("What the winner starts from.", "scratch")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_path > self.max_path:
            raise ValueError(f"min_path is {self.min_path}, more than max_path, {self.max_path}: swap them.")


class AutoBertZero:
    """The method, phase by phase; every phase goes on where it was stopped."""

    Settings: ClassVar[type[SearchSettings]] = AutoBertZeroSettings

    def __init__(self, job: Job, settings: AutoBertZeroSettings) -> None:
        self.job = job
        self.settings = settings
        formulas = FormulaSampler(settings.min_path, settings.max_path)
        self.space = AutoBertZeroSpace(settings.num_hidden_layers, formulas=formulas)
        self.supernet = Supernet(self.space, job.base, settings.seed, job.head)
        self.evaluator = Biws(
            self.supernet,
            job.batches,
            job.held_out,
            Recipe(settings.candidate_steps, settings.candidate_learning_rate, warmup=0.1),
            job.accelerator,
            job.path / "supernet",
            settings.limits,
        )

    def warm_up(self) -> None:
        """Single-path training of the supernet; its end is the weights of round 0."""
        job, batches = self.job, self.job.batches
        checkpoint, clock = self.evaluator.folder / "warm-up.safetensors", Clock(30)
        is_done = any(self.evaluator.folder.glob("round-*.safetensors"))
        job.accelerator.wait_for_everyone()
        if is_done:
            if job.is_main:
                checkpoint.unlink(missing_ok=True)
            return
        recipe = Recipe(self.settings.warmup_steps, self.settings.learning_rate)
        trainer = Trainer(self.supernet.model, recipe, job.accelerator, shared=True)
        if checkpoint.exists():
            trainer.load(checkpoint)
        bar = tqdm(
            total=recipe.steps, initial=trainer.step, desc="supernet warm-up", unit="step", disable=not job.is_main
        )

        def batch(step: int) -> Batch:
            self.supernet.activate(single_path(self.space, self.settings.seed, step))
            return batches.batch("warm-up", step=step)

        def after(step: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}")
            if job.is_main and clock.rings():
                trainer.save(checkpoint)

        with bar:
            trainer.run(batch, on_step=after)
        if job.is_main:
            self.evaluator.save_round(0, 0, recipe.steps * batches.tokens_per_batch)
            checkpoint.unlink(missing_ok=True)
        job.accelerator.wait_for_everyone()

    def search(self) -> list[Trial]:
        s = self.settings
        options = {"alpha": s.alpha, "temperature": s.temperature} if s.method == "op-nas" else {}
        searcher = STRATEGIES[s.method](
            self.space, self.job.goals, s.seed, s.population, s.parents, s.children, self.job.allowed, **options
        )
        self.space.formulas.drawn.clear()  # the draws of profile and warm-up
        trials = self.job.search(searcher, self.evaluator)
        self.job.record("draws", self.space.formulas.drawn)
        return trials

    def run(self) -> Trial:
        self.evaluator.tasks = self.job.tasks
        self.warm_up()
        return self.job.goals.best(self.search())[0]

    def further(self) -> dict[str, Trial]:
        return {}

    def trained(self, trial: Trial, record: str) -> AutoBertLanguageModel:
        """The final training, and for the record that of a BERT of equal parameters on the same number of tokens."""
        job, inherited = self.job, 0
        if self.settings.final_training == "inherit":
            inherited = int(trial.cost["inherited_tokens"] + trial.cost["tokens"])
        found = self.start_of(trial)
        rival_config = equal_bert(job.base, count_parameters(found.config, "masked_lm"))
        tokens = self.settings.final_tokens
        curves = {
            "found": job.train(found, job.recipe(tokens), "found", trial, inherited),
            "bert": job.train(job.fresh(rival_config, "rival"), job.recipe(tokens + inherited), "bert", trial),
        }
        configs = {"found": found.config, "bert": rival_config}
        job.record(
            record,
            {
                "curves": curves,
                "floor": job.corpus.floor,
                "inherited_tokens": inherited,
                "parameters": {name: count_parameters(config, "masked_lm") for name, config in configs.items()},
                "bert_intermediate_size": rival_config.intermediate_size,
            },
        )
        return found

    def start_of(self, trial: Trial) -> AutoBertLanguageModel:
        if self.settings.final_training == "scratch":
            return self.job.fresh(trial.architecture.to_config(self.job.base), "found")
        return self.inherited(trial)

    def inherited(self, trial: Trial) -> AutoBertLanguageModel:
        """A candidate with the weights of its short training, which are kept of the winner and the front."""
        state, _ = read_tensors(self.evaluator.child_file(trial.id))
        self.supernet.write(trial.architecture, state)
        return self.supernet.extract(trial.architecture)
