"""Baseline: BERT at the size of the found network."""

from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig


def equal_bert(base: AutoBertConfig, found: AutoBertConfig) -> AutoBertConfig:
    """
    Standard attention in every layer of `base`, with the feed-forward width that makes it (nearly) as large as the
    found network.
    """
    return with_parameters(base, count_parameters(found, "masked_lm"))


def with_parameters(config: AutoBertConfig, parameters: int) -> AutoBertConfig:
    """
    The same network with the feed-forward width (a multiple of 8, the same in all layers) that brings its masked
    language model closest to `parameters`.
    """

    def with_width(width: int) -> AutoBertConfig:
        return AutoBertConfig.from_dict(config.to_dict() | {"intermediate_size": width})

    one, two = (count_parameters(with_width(width), "masked_lm") for width in (8, 16))
    steps = round((parameters - one) / (two - one))
    return with_width(8 + 8 * max(steps, 0))
