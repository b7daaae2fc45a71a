"""
Weights that nothing has trained, as a search without training leaves them: the configuration's field `untrained` says
so until the weights of the layers have changed.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_utils import LoadStateDictConfig
from transformers.utils import logging
from transformers.utils.loading_report import LoadStateDictInfo


logger = logging.get_logger(__name__)

WARNING = (
    "The weights of {} are random: its architecture was found by a search that trains nothing, and it was not trained "
    "since. Train it before you use it."
)
LAYERS = "encoder.layers."


class MarkedModel(PreTrainedModel):
    """
    A model whose `config.untrained` is taken out when it is saved with other layers than it was made or loaded with.
    `model.config.untrained = False` takes it out by hand.
    """

    _layers_at_start: str | None = None

    def post_init(self) -> None:
        super().post_init()
        self._remember()

    @staticmethod
    def _finalize_model_loading(
        model: PreTrainedModel, load_config: LoadStateDictConfig, loading_info: LoadStateDictInfo
    ) -> LoadStateDictInfo:
        info = PreTrainedModel._finalize_model_loading(model, load_config, loading_info)
        assert isinstance(model, MarkedModel)
        if model._remember():
            logger.warning(WARNING.format(load_config.pretrained_model_name_or_path or "this model"))
        return info

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """As in transformers; `config.untrained` is taken out if the layers have changed."""
        self._forget_if_changed(kwargs.get("state_dict"))
        super().save_pretrained(save_directory, *args, **kwargs)

    # transformers wraps its own in a way that hides its arguments.
    def push_to_hub(self, repo_id: str, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # noqa: ANN401
        """As in transformers, with a warning for weights that nothing has trained."""
        self._forget_if_changed(None)
        if self.config.untrained:
            logger.warning(WARNING.format(repo_id))
        return super().push_to_hub(repo_id, *args, **kwargs)  # type: ignore[arg-type]

    def _remember(self) -> bool:
        if self.config.untrained:
            self._layers_at_start = _digest(self.state_dict())
        return self.config.untrained

    def _forget_if_changed(self, given: Mapping[str, torch.Tensor] | None) -> None:
        """`given`: the weights to be saved where they are not the model's own, as in sharded trainings."""
        if self.config.untrained and self._layers_at_start is not None:
            now = _digest(self.state_dict() if given is None else given)
            self.config.untrained = now in (None, self._layers_at_start)


def _digest(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Of the layers alone: a vocabulary may grow, and a head is new. None where their weights are not in memory."""
    layers = [tensors[name] for name in sorted(tensors) if LAYERS in name]
    if any(layer.is_meta for layer in layers):
        return None
    found = hashlib.blake2b()
    for layer in layers:
        found.update(layer.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
