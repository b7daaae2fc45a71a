"""Baselines of a network found within a latency limit."""

from typing import Any

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.searchers.baselines.deepest_cut import deepest_cut
from autobert_hf.searchers.baselines.default_rule import best_default
from autobert_hf.searchers.baselines.untrained import StaticTable, in_int8
from autobert_hf.searchers.evaluators.supernet_loss import SupernetLoss
from autobert_hf.searchers.predicted_latency import PredictedLatency
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.supernets.sliced import SlicedSupernet
from autobert_hf.searchers.supernets.teacher_start import TeacherStart


def baselines_within(
    limit: float, supernet: SlicedSupernet, start: TeacherStart, latency: PredictedLatency, evaluator: SupernetLoss
) -> tuple[dict[str, PreTrainedModel], dict[str, float]]:
    """
    Networks within the limit to train like the found one, and their predicted latencies: BERT's rule of thumb, from
    the same supernet, and whole layers of the teacher.
    """
    assert isinstance(space := supernet.space, AutoTinyBertSpace)
    models: dict[str, PreTrainedModel] = {}
    predicted: dict[str, float] = {}
    if rule := best_default(space, latency, limit, evaluator.loss):
        models["default rule"], predicted["default rule"] = supernet.extract(rule), latency(rule)
    if start.teacher is not None and (cut := deepest_cut(space, latency, limit)):
        untrained = SlicedSupernet(space, start.model(), supernet.depths)
        models["cut"], predicted["cut"] = untrained.extract(cut), latency(cut)
    return models, predicted


def untrained(teacher: Teacher, text: Text) -> dict[str, Any]:
    """Baselines from the teacher that need no training."""
    table = StaticTable(teacher.model, text.fitting_batches("static"), text.tokenizer.all_special_ids)
    return {"teacher in int8": in_int8(teacher.model), "static table": table}
