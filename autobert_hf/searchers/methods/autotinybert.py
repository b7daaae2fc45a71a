"""
AutoTinyBERT (Yin et al., ACL 2021): a latency limit in, an encoder out. One supernet is trained by slices,
sub-networks are judged with its weights, the best within each limit is trained further.

| paper | here | deviation |
| --- | --- | --- |
| 3.1 space | spaces/autotinybert.py | the paper's bounds in proportion to the settings' or the teacher's sizes |
| 3.2 SuperPLM, algorithm 1 | sliced_supernet.py, policies/batch_wise.py | starts from a teacher's weights too |
| 3.2 depth by first layers | layer_choice.py | with a teacher's weights the layers that text asks for |
| 3.2 width by leading rows | modeling/slicing.py | a teacher's weights are put in order first, modeling/ordering.py |
| 3.2 distillation | lab/distillation.py | other terms by `--loss` |
| 3.3 evolution | strategies/roulette.py | held-out loss or `--proxy-task`; the window ends at the limit |
| 3.3 fast variant | fast_rule.py | |
| 3.4 latency prediction | latency_guide.py, lab/latency_{predictor,network}.py | default: linear, 30 networks |
| 3.3 further training | objective_trainer.py | the best of each limit, not the best three |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from random import Random
from typing import Any, ClassVar

import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from autobert_hf.lab.distilling.sentence_files import write_sentence_files
from autobert_hf.lab.distilling.teacher import load_teacher
from autobert_hf.lab.losses.distillation import Distillation
from autobert_hf.lab.training.trainer import sparse_prediction
from autobert_hf.modeling.bert_family import as_bert
from autobert_hf.modeling.convert import from_bert, stock_refusal, to_bert
from autobert_hf.modeling.modeling_autobert import AutoBertModel, AutoBertPreTrainedModel
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Limits
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.baselines.tiny import StaticTable, best_default, deepest_cut, in_int8
from autobert_hf.searchers.evaluators.supernet_loss import HeldOutLoss, SupernetLoss
from autobert_hf.searchers.finish import Finish
from autobert_hf.searchers.lesson import Lesson
from autobert_hf.searchers.methods.autotinybert_settings import AutoTinyBertSettings
from autobert_hf.searchers.policies.batch_wise import batch_wise
from autobert_hf.searchers.predicted_latency import LatencyGuide, check_limits, fit_guide
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.settings.search_settings import SearchSettings
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.restricted import Restricted
from autobert_hf.searchers.strategies.fast_rule import fast_rule
from autobert_hf.searchers.strategies.fixed_list import Listed
from autobert_hf.searchers.strategies.random_search import RandomSearch
from autobert_hf.searchers.strategies.roulette import Roulette
from autobert_hf.searchers.strategies.round_robin import Alternating
from autobert_hf.searchers.supernet_phase import SupernetPhase
from autobert_hf.searchers.supernets.layer_choice import choose_layers
from autobert_hf.searchers.supernets.sliced import SlicedSupernet


FOUND = "this network"  # the model of a run, as its cards and `autobert measure` call it
MOST_EXHAUSTIVE = 20_000
DEPTH_BATCHES = 4
WINDOW_SAMPLES = 200


class AutoTinyBert:
    """The method, phase by phase; every phase goes on where it was stopped."""

    Settings: ClassVar[type[SearchSettings]] = AutoTinyBertSettings

    def __init__(self, job: Job, settings: AutoTinyBertSettings) -> None:
        self.job = job
        self.settings = settings
        self.lesson = Lesson(job, settings.teacher, settings.loss)
        self.space = self.make_space()
        self.winners: dict[float, Trial] = {}
        self.reference, self.reference_name = self.find_reference()
        self.supernet = SlicedSupernet(self.start())
        self.phase = SupernetPhase(job, self.supernet, self.lesson.objective(job.base.hidden_size))
        if settings.stock and settings.teacher:
            job.add_files = lambda model, path: write_sentence_files(settings.teacher, path, model.config.hidden_size)

    def make_space(self) -> AutoTinyBertSpace:
        """Whole heads from scratch; with a teacher part of every head, since its heads are compared one by one."""
        s, base = self.settings, self.job.base
        space = AutoTinyBertSpace.within(base, bool(s.teacher), s.width_step, s.inner_step, s.identical)
        if not s.stock:
            return space
        if refusal := stock_refusal(base):
            raise ValueError(f"--stock: {refusal} in a plain BERT. Give --norm-position post.")
        step = base.per_layer_config[0].num_attention_heads if s.teacher else base.per_layer_config[0].head_dim
        widths = range(base.hidden_size, int(base.hidden_size / 6) - 1, -step)
        return replace(space, hidden_size=sorted(widths))

    def stock(self, architecture: Architecture) -> bool:
        """Whether a plain BERT is as narrow; always, where nobody asked."""
        sizes = dict(architecture.settings)
        return not self.settings.stock or sizes["num_attention_heads"] * sizes["head_dim"] == sizes["hidden_size"]

    def find_reference(self) -> tuple[PreTrainedModel, str]:
        given = self.settings.latency_reference
        if given:
            return load_teacher(given), given
        if self.lesson.teacher is not None:
            return self.lesson.teacher, "the teacher"
        with torch.random.fork_rng(devices=[]):
            return BertModel(BertConfig(), add_pooling_layer=False).eval(), "BERT-base"

    def start(self) -> AutoBertPreTrainedModel:
        """The supernet's weights before its training."""
        job = self.job
        if self.lesson.teacher is None:
            return job.fresh(job.base, "supernet")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(job.settings.seed, "initialise", "supernet"))
            model = AutoBertModel(job.base, add_pooling_layer=False)
        if self.settings.from_teacher:
            model.load_state_dict(from_bert(as_bert(self.lesson.teacher)).state_dict())
        return model.to(job.accelerator.device)

    @cached_property
    def guide(self) -> LatencyGuide:
        return LatencyGuide.read(self.job.path, self.job.base, self.space)

    def run(self) -> Trial:
        s, job = self.settings, self.job
        measured = s.latency_predictor, s.latency_samples, s.latency_error
        fit_guide(self.space, job.base, self.reference, s.workload, *measured, job.path, s.seed, job.accelerator)
        check_limits(self.guide, self.space, s.limits_of_latency, self.reference_name)
        self.put_in_order()
        self.choose_depths()
        searched = Restricted(self.space, self.stock)
        self.phase.run(partial(batch_wise, searched, s.seed, number=s.subnetworks), s.supernet_steps)
        trials = self.search(searched)
        self.winners = {limit: self.best(trials, limit) for limit in s.limits_of_latency}
        return self.winners[s.limits_of_latency[0]]

    def put_in_order(self) -> None:
        """Slices of a pretrained network keep what it uses most; the map to the teacher's features follows."""
        if self.settings.from_teacher and not self.phase.weights.exists():
            model: Any = self.supernet.model.eval()
            order_by_use(model, self.lesson.some("order"))
            assert isinstance(self.phase.objective, Distillation)
            self.phase.objective.start_at_ridge(model, self.lesson.some("ridge"))

    def choose_depths(self) -> None:
        """Depth -> layers, chosen once on text that nobody trains on; the first layers of a supernet from scratch."""
        if not self.settings.from_teacher:
            return
        path = self.job.path / "report" / "depths.json"
        if not path.exists():
            held_out = self.job.held_out[:DEPTH_BATCHES]
            loss = HeldOutLoss(self.phase.objective, held_out, self.job.accelerator)
            self.supernet.model.eval()
            self.job.accelerator.wait_for_everyone()
            table = choose_layers(self.supernet.sliceable, loss)
            self.job.record("depths", {str(depth): layers for depth, layers in table.items()})
            self.job.accelerator.wait_for_everyone()
        self.supernet.depths = {int(depth): layers for depth, layers in read_report(path).items()}

    def search(self, searched: Restricted) -> list[Trial]:
        s, job = self.settings, self.job
        limits = Limits({**s.limits.most, "latency": s.window_high * s.limits_of_latency[0]})
        held_out = HeldOutLoss(self.phase.objective, job.held_out, job.accelerator)
        evaluator = SupernetLoss(self.supernet, held_out, self.guide, limits, job.tasks, s.seed)
        if s.strategy in ("fast", "exhaustive"):
            listed = self.listed(searched)
            number = len(listed) if s.strategy == "fast" else min(s.num_trials, len(listed))
            return job.search(Listed(listed, job.goals, s.seed), evaluator, number)
        kind = Roulette if s.strategy == "evolution" else RandomSearch
        windows = [Restricted(self.space, self.window(limit)) for limit in s.limits_of_latency]
        searchers = [kind(space, job.goals, s.seed, s.population, s.population, 1, job.allowed) for space in windows]
        return job.search(Alternating(searchers), evaluator)

    def window(self, limit: float) -> Callable[[Architecture], bool]:
        """Whether a network takes as long as those that are searched for this limit, and is what was asked for."""
        s = self.settings
        least, most = self.guide.window(limit, s.window_low, s.window_high, self.some)
        return lambda architecture: self.stock(architecture) and least <= self.guide(architecture) <= most

    @cached_property
    def some(self) -> list[Architecture]:
        """Random networks of the space, with its smallest and its largest."""
        searched, rng = Restricted(self.space, self.stock), Random(derive(self.settings.seed, "window"))
        return [self.space.smallest(), self.space.largest(), *(searched.sample(rng) for _ in range(WINDOW_SAMPLES))]

    def listed(self, searched: Restricted) -> list[Architecture]:
        """
        What the fast rule names, or all that some window holds, the fastest first.

        Raises:
            LimitError: if that is nothing, or the space is too large to be listed.
        """
        s = self.settings
        if s.strategy == "fast":
            found = fast_rule(self.space, self.guide, s.limits_of_latency, self.stock)
        elif self.space.size > MOST_EXHAUSTIVE:
            raise LimitError(
                f"The space has {self.space.size:,} networks, more than the {MOST_EXHAUSTIVE:,} that are listed: give "
                "--strategy evolution, or a larger --width-step and --inner-step."
            )
        else:
            windows = [self.window(limit) for limit in s.limits_of_latency]
            inside = [one for one in searched.enumerate() if any(window(one) for window in windows)]
            found = sorted(inside, key=self.guide)
        if not found:
            raise LimitError(
                f"--strategy {s.strategy} finds no network for {s.max_latency}: give --strategy evolution."
            )
        return found

    def best(self, trials: Sequence[Trial], limit: float) -> Trial:
        """
        Raises:
            LimitError: if no trial keeps the limit: more of them would.
        """
        slack = max(self.settings.window_high, 1.0)
        within = [trial for trial in trials if trial.ok and trial.scores["latency"] <= slack * limit]
        if not within:
            raise LimitError(f"None of {len(trials)} candidates keeps the limit {limit}: give more --num-trials.")
        return self.job.goals.best(within)[0]

    def further(self) -> dict[str, Trial]:
        """The best of each limit but the first; the limits stand in the folders' names."""
        first, *others = self.winners
        return {f"model-{limit:g}": self.winners[limit] for limit in others}

    def inherited(self, trial: Trial) -> PreTrainedModel:
        self.choose_depths()
        self.phase.load()
        return self.supernet.extract(trial.architecture)

    def trained(self, trial: Trial, record: str) -> PreTrainedModel:
        """The further training of a candidate and of its rivals, and their times measured together."""
        s, name = self.settings, "" if record == "training" else f" (trial {trial.id})"
        limit = self.limit_of(trial)
        found = self.inherited(trial)
        trained, predicted = {"found": found}, {"found": trial.scores["latency"]}
        if s.rivals:
            for rival, (architecture, model) in self.rivals(limit).items():
                trained[rival], predicted[rival] = model, self.guide(architecture)
        finish = Finish(self.job, self.lesson, trial, record)
        finish.report(trained, {rival: finish.train(rival, model) for rival, model in trained.items()})
        self.keep_rivals(trained, trial)
        networks = trained | (self.untrained_rivals() if s.rivals and not name else {})
        rows = {(rival if rival != "found" else FOUND if not name else "found") + name: rival for rival in networks}
        times = finish.measure(
            {row: networks[rival] for row, rival in rows.items()},
            {row: predicted[rival] for row, rival in rows.items() if rival in predicted},
            (self.reference, self.reference_name),
            s.workload,
            limit,
        )
        finish.compare(networks, {rival: times[row] for row, rival in rows.items()}, limit)
        return self.plain(found)

    def plain(self, model: PreTrainedModel) -> PreTrainedModel:
        """As transformers' own BERT, where that was asked for."""
        return to_bert(model) if self.settings.stock else model

    def keep_rivals(self, trained: Mapping[str, PreTrainedModel], trial: Trial) -> None:
        """A rival may be the better model: it is there to be loaded like the one that was found."""
        for rival, model in trained.items():
            if rival != "found":
                folder = f"{rival.replace(' ', '-')}-{trial.id:06d}"
                self.job.save(self.plain(model), self.job.path / "rivals" / folder)

    def rivals(self, limit: float) -> dict[str, tuple[Architecture, PreTrainedModel]]:
        """At the same predicted time: BERT's own rule, from the same supernet, and whole layers of the teacher."""
        held_out = HeldOutLoss(self.phase.objective, self.job.held_out, self.job.accelerator)

        def loss(architecture: Architecture) -> float:
            with sparse_prediction(self.supernet.model.eval()):
                return held_out(self.supernet.part(architecture))

        found = {}
        if rule := best_default(self.space, self.guide, limit, loss):
            found["default rule"] = (rule, self.supernet.extract(rule))
        if self.settings.from_teacher and (cut := deepest_cut(self.space, self.guide, limit)):
            untrained = SlicedSupernet(self.start(), self.supernet.depths)
            found["cut"] = (cut, untrained.extract(cut))
        return found

    def untrained_rivals(self) -> dict[str, Any]:
        """What the teacher gives without any training."""
        if self.lesson.teacher is None:
            return {}
        special = self.job.corpus.tokenizer.all_special_ids
        static = StaticTable(self.lesson.teacher, self.lesson.some("static"), special)
        return {"teacher in int8": in_int8(self.lesson.teacher), "static table": static}

    def limit_of(self, trial: Trial) -> float:
        """The tightest limit that the candidate keeps."""
        slack = max(self.settings.window_high, 1.0)
        kept = [limit for limit in self.settings.limits_of_latency if trial.scores["latency"] <= slack * limit]
        return min(kept, default=self.settings.limits_of_latency[0])
