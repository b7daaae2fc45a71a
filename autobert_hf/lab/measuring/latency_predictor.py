"""Predicts latency or memory from a configuration, linearly in physical features, and tests any predictor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import mean
from typing import Any, Protocol

import torch
from scipy.optimize import nnls
from scipy.stats import kendalltau

from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig


FEATURES = (
    "one",
    "flops",
    "layers",
    "attention_layers",
    "conv_layers",
    "scores",
    "taps",
    "conv_width",
    "feed_forward_width",
)
MEMORY_FEATURES = ("one", "parameters", "states", "feed_forward", "attention", "all_attention")
# Weight of the coefficients in the fit, with features scaled to a mean of 1. It divides time among collinear features
# (such as layers, if all have attention); errors are the same from 1e-6 to 1e-1.
RIDGE = 1e-3


class Predictor(Protocol):
    def predict(self, configs: Sequence[AutoBertConfig]) -> list[float]: ...


Fit = Callable[[Sequence[AutoBertConfig], Sequence[float]], Predictor]


def physical_features(config: AutoBertConfig, batch: int = 1, length: int = 128) -> list[float]:
    """
    1, FLOPs, layers, attention layers, convolutions, then sums over the layers: entries of the attention scores
    (heads x length squared), taps x channels, channels of convolutions, feed-forward width.
    """
    mixers = [(kind, layer) for kind, layer in config.layers() if "mixer" not in layer.skip]
    attention = [layer for kind, layer in mixers if kind != "conv"]
    convolutions = [layer for kind, layer in mixers if kind == "conv"]
    feed_forward = [layer for _, layer in config.layers() if "feed_forward" not in layer.skip]
    return [
        1.0,
        count_flops(config, length, batch),
        config.num_hidden_layers,
        len(attention),
        len(convolutions),
        batch * length * length * sum(layer.num_attention_heads for layer in attention),
        sum(layer.layer_width * layer.conv_kernel_size for layer in convolutions),
        sum(layer.layer_width for layer in convolutions),
        sum(layer.intermediate_size for layer in feed_forward),
    ]


def memory_features(config: AutoBertConfig, batch: int = 1, length: int = 128) -> list[float]:
    """
    1, parameters, then numbers of entries, one a token: of the states, the widest feed-forward layer, the widest
    attention, and all attentions, which a decoder keeps in its cache.
    """
    tokens, layers = batch * length, [layer for _, layer in config.layers()]
    attention = [layer.num_attention_heads * layer.head_dim for layer in layers]
    return [
        1.0,
        count_parameters(config),
        tokens * config.hidden_size,
        tokens * max(layer.intermediate_size for layer in layers),
        tokens * max(attention),
        tokens * sum(attention),
    ]


FEATURES_OF = {"latency": (FEATURES, physical_features), "memory": (MEMORY_FEATURES, memory_features)}


@dataclass(frozen=True)
class LinearPredictor:
    """
    A time (or, for `quantity` memory, megabytes) per unit of each feature, never negative: no feature makes a network
    faster or smaller.
    """

    coefficients: Mapping[str, float]
    batch: int
    length: int
    quantity: str = "latency"

    @classmethod
    def fit(
        cls,
        configs: Sequence[AutoBertConfig],
        ratios: Sequence[float],
        batch: int = 1,
        length: int = 128,
        quantity: str = "latency",
    ) -> "LinearPredictor":
        """
        Least squares of the relative error over measured networks. Features that are zero or equal in all networks do
        no harm.
        """
        names, features_of = FEATURES_OF[quantity]
        rows = [features_of(config, batch, length) for config in configs]
        features = torch.tensor(rows, dtype=torch.float64)
        scale = features.mean(0)
        scale[scale == 0] = 1
        relative = features / scale / torch.tensor(ratios, dtype=torch.float64)[:, None]
        penalty = (RIDGE * relative.square().mean()).sqrt() * torch.eye(len(names), dtype=torch.float64)
        target = torch.cat([torch.ones(len(configs)), torch.zeros(len(names))])
        solution, _ = nnls(torch.cat([relative, penalty]).numpy(), target.numpy())
        return cls(dict(zip(names, (solution / scale.numpy()).tolist(), strict=True)), batch, length, quantity)

    def predict(self, configs: Sequence[AutoBertConfig]) -> list[float]:
        names, features_of = FEATURES_OF[self.quantity]
        times = [self.coefficients[name] for name in names]
        rows = [features_of(config, self.batch, self.length) for config in configs]
        return [sum(time * value for time, value in zip(times, row, strict=True)) for row in rows]

    def to_dict(self) -> dict[str, Any]:
        where = {"batch": self.batch, "length": self.length, "quantity": self.quantity}
        return {"coefficients": dict(self.coefficients), **where}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "LinearPredictor":
        return cls(**data)


@dataclass(frozen=True)
class HeldOut:
    """Accuracy on networks that a predictor was not fitted on: mean absolute relative error, Kendall's tau."""

    error: float
    tau: float
    predicted: list[float]

    def __str__(self) -> str:
        return f"{self.error:.1%} mean error, tau {self.tau:.3f} on {len(self.predicted)} held-out networks"


def held_out(
    fit: Fit, configs: Sequence[AutoBertConfig], ratios: Sequence[float], folds: int = 5, seed: int = 0
) -> HeldOut:
    """Cross-validation: each network is predicted from a fit on the other folds."""
    order = Random(seed).sample(range(len(configs)), len(configs))
    predicted = [0.0] * len(configs)
    for fold in range(folds):
        test = order[fold::folds]
        train = sorted(set(order) - set(test))
        model = fit([configs[i] for i in train], [ratios[i] for i in train])
        for i, value in zip(test, model.predict([configs[i] for i in test]), strict=True):
            predicted[i] = value
    error = mean(abs(guess / real - 1) for guess, real in zip(predicted, ratios, strict=True))
    return HeldOut(error, float(kendalltau(predicted, ratios).statistic), predicted)
