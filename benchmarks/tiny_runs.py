"""A search by autotinybert, opened again: what several benchmarks begin with."""

from pathlib import Path

from transformers import PreTrainedModel

from autobert_hf.api import reopen
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.goals import Limits
from autobert_hf.records.study import Study
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.methods.autotinybert import AutoTinyBert


def opened(run: Path) -> AutoTinyBert:
    search = reopen(run)
    if not isinstance(search, AutoTinyBert):
        raise SystemExit(f"{run} is no search by autotinybert: give one.")
    return search


def best_within(search: AutoTinyBert, study: Study, limit: float) -> Trial:
    return search.picks(study, Limits({"latency": search.settings.slack * limit}))["model"]


def train_further(
    search: AutoTinyBert, name: str, model: PreTrainedModel, trial: Trial, text: Text, recipe: Recipe
) -> None:
    """As the run trained what it found, from the weights that the model has."""
    trainer = Trainer(model, search.final_loss(model), lambda step, shard: [model], recipe, search.run.team)
    search.run.train(f"final/{name}-{trial.id:06d}", trainer, text.stream("final"))
    model.eval()
