"""Files of weights that belong to another architecture are refused; a pooler that a file lacks is left out."""

import re

from transformers import PreTrainedModel
from transformers.utils import logging
from transformers.utils.loading_report import LoadStateDictInfo


logger = logging.get_logger(__name__)

# The name of a weight of a numbered layer, such as BERT's `encoder.layer.0.output.dense.weight`.
_IN_A_LAYER = re.compile(r"(^|\.)\d+\.\w+\.")


def refuse_foreign_weights(model: PreTrainedModel, info: LoadStateDictInfo) -> None:
    """
    Partial files are transformers' to report: only weights of layers of which none has a place in `model` are refused.

    Raises:
        ValueError: if the file holds an encoder's weights and none of them is one of the model's.
    """
    encoder = {name for name, _ in model.named_parameters() if "encoder.layers." in name}
    foreign = sorted(filter(_IN_A_LAYER.search, info.unexpected_keys))
    if foreign and encoder and encoder <= info.missing_keys:
        raise ValueError(
            f"None of the encoder's {len(encoder)} weights is in the file, which holds others (the first is "
            f"{foreign[0]!r}): these are weights of another architecture. "
            "`autobert convert` brings BERT checkpoints over."
        )


def drop_random_pooler(model: PreTrainedModel, missing: set[str]) -> None:
    """Takes the pooler away if the file holds none: configurations of earlier versions do not say so."""
    pooler = {name for name, _ in model.named_parameters() if name.startswith("pooler.")}
    if pooler and pooler <= missing:
        logger.warning("The file holds no pooler, so the network gets none: pooler_output is None.")
        missing -= pooler
        model.register_module("pooler", None)
        model.config.add_pooling_layer = False
