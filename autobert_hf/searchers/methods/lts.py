"""
LiteTransformerSearch (Javaheripi et al., 2022): a front of decoder parameters, latency and peak memory, measured here.
The search trains nothing, and has neither text nor supernet nor loss; `--train-front` trains points of the front after
it. docs/methods.md maps the paper to the code, with every deviation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from transformers import PreTrainedModel

from autobert_hf.lab.data.text import vocabulary_size
from autobert_hf.lab.measuring.paired_clock import PairedClock
from autobert_hf.lab.measuring.peak_memory import profiled_memory
from autobert_hf.lab.measuring.zero_cost import ZERO_COST
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.scaled_depth import scaled_in_depth
from autobert_hf.searchers.evaluators.arithmetic import arithmetic_on
from autobert_hf.searchers.evaluators.measured_cost import MeasuredCost
from autobert_hf.searchers.front_training import FrontTraining
from autobert_hf.searchers.measured_front import MeasuredFront
from autobert_hf.searchers.methods import presets
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.predicted_latency import PredictedLatency, start_again_elsewhere
from autobert_hf.searchers.predicted_memory import PredictedMemory
from autobert_hf.searchers.reachable import check_reachable
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import FrontSettings, LayerRangeSettings, SearchSettings, described
from autobert_hf.searchers.settings.front_training import FrontTrainingSettings
from autobert_hf.searchers.spaces.lts import LtsSpace
from autobert_hf.searchers.strategies.front_evolution import FrontEvolution


@dataclass
class LtsSettings(FrontSettings, LayerRangeSettings, FrontTrainingSettings):
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": presets.LTS}

    num_trials: int = described("Candidates to evaluate, failed ones included.", 2500, least=1, local=True)
    population: int = described("Random candidates of the first round.", 100, least=1)
    parents: int = described("Points of the front that have children in a round.", 20, least=1)
    children: int = described("Children of a round, a parent: half mutants, half crossovers.", 4, least=1)
    baselines: bool = described("Measure networks scaled in depth only beside the front.", True)
    latency_length: int = described("Tokens in a timed row.", 192, least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latency_length > self.length:
            raise ValueError(
                f"latency_length is {self.latency_length}, more than the context of {self.length} tokens: give a "
                "larger --length, or a smaller --latency-length."
            )


class Lts(Method):
    Settings: ClassVar[type[SearchSettings]] = LtsSettings
    base: AutoBertConfig
    space: LtsSpace
    evaluator: MeasuredCost

    def __init__(self, run: Run, settings: LtsSettings) -> None:
        s = self.settings = settings
        self.run = run
        self.space, self.goals = s.ranges, s.front_goals()
        self.text = s.open_text(run) if s.train_front else None
        self.tokenizer = words = self.text.tokenizer if self.text else s.given_tokenizer()
        names = ("pad_token_id", "bos_token_id", "eos_token_id")
        ids = {name: getattr(words, name, None) for name in names}
        self.base = s.base_config(s.vocab_size if words is None else vocabulary_size(words), ids)
        self.arithmetic = arithmetic_on(self.base, ("decoder_parameters", s.proxy))
        self.predicted = s.latency_predictor != "none"
        self.peak_memory = PredictedMemory(run, self.space, self.base, s.workload, s.latency_samples)
        measures, is_timed = self.measures(), not self.predicted
        self.evaluator = MeasuredCost(self.base, self.known, measures, exclusive=is_timed)

    @cached_property
    def reference(self) -> tuple[PreTrainedModel, str]:
        return self.settings.reference_model(self.space, self.base)

    @cached_property
    def latency(self) -> PredictedLatency:
        s = self.settings
        return PredictedLatency(self.run, self.space, self.base, self.reference, s, s.latency_predictor)

    def known(self, architecture: Architecture) -> dict[str, float]:
        """Sizes, and what is predicted."""
        scores = self.arithmetic(architecture)
        if self.predicted:
            scores["latency"] = self.latency(architecture)
            scores |= {"memory": self.peak_memory(architecture)} if self.settings.memory else {}
        return scores

    def measures(self) -> dict[str, Callable[[PreTrainedModel], float]]:
        """What is measured on each candidate."""
        s, found = self.settings, dict[str, Callable[[PreTrainedModel], float]]()
        if not self.predicted:
            clock = PairedClock(lambda: self.reference[0], s.workload, s.latency_rounds)
            found["latency"] = lambda model: clock(model).median
            if s.memory:
                found["memory"] = lambda model: profiled_memory(model, s.workload)
        if (score := ZERO_COST.get(s.proxy)) is not None:
            found[s.proxy] = lambda model: score(model, s.workload)
        return found

    @property
    def scaled(self) -> list[Architecture]:
        """The baseline in each depth."""
        depths, heads = self.space.num_hidden_layers, max(self.space.num_attention_heads)
        return scaled_in_depth(self.space.standard_width, depths, heads)

    @property
    def training(self) -> FrontTraining:
        return FrontTraining(self.run, self.base, self.scaled, self.settings, self.text)

    @property
    def front(self) -> MeasuredFront:
        scaled = self.scaled if self.settings.baselines else []
        baselines = {f"scaled in depth, {len(one.layers)} layers": one for one in scaled}
        return MeasuredFront(self.run, self.base, self.reference, self.settings, baselines)

    def study(self) -> Study:
        s, run = self.settings, self.run
        if self.predicted:
            self.latency.measure()
            self.peak_memory.measure()
        else:
            start_again_elsewhere(run, self.reference[0], s)
        check_reachable(run, self.space, self.evaluator, self.goals.limits)
        rounds = (s.seed, s.population, s.parents, s.children)
        strategy = FrontEvolution(self.space, self.goals, *rounds, self.allowed)
        study = run.study(strategy, self.evaluator, self.goals, min(s.num_trials, self.space.size))
        self.front.measure(study)
        self.training.choose(self.front.kept(study), study.goals)
        return study

    def picks(self, study: Study, limits: Limits | None = None) -> dict[str, Trial]:
        """The front, as measured again: `model` has the best proxy, `model-2` the next one, down to the smallest."""
        if limits is not None:
            return super().picks(study, limits)
        kept = self.front.kept(study)
        return {f"model-{number}" if number > 1 else "model": trial for number, trial in enumerate(kept, start=1)}

    def model(self, trial: Trial, train: bool | None = None) -> PreTrainedModel:
        """With random weights or, of the points that --train-front has chosen, trained."""
        return self.training.model(trial, train)
