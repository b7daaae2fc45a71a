"""The final training of found architectures, each beside its baselines."""

from collections.abc import Mapping

from transformers import PreTrainedModel

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.run import Run


def train_found(
    run: Run,
    trial: Trial,
    base: AutoBertConfig,
    baselines: Mapping[str, AutoBertConfig],
    loss: type[Loss],
    recipe: Recipe,
    text: Text,
) -> PreTrainedModel:
    """
    Trains the trial's architecture on `base`, and its baselines by name, from scratch on the same batches, and records
    them in `report/training-NUMBER.json`. A repeated call goes on, and reads what is finished.

    Raises:
        ValueError: if the loss does not train such networks (an encoder with next-words, a decoder with masked words).
    """
    configs = {"found": trial.architecture.to_config(base), **baselines}
    models = {name: run.fresh(lambda c=config: loss.network(c), name) for name, config in configs.items()}  # type: ignore[misc]
    return run.final(trial, models, lambda model: loss(model.config), recipe, text).models["found"]
