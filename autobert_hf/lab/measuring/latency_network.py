"""The papers' latency predictor: a small network over a few sizes (HAT, Wang et al., 2020; AutoTinyBERT, 2021)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.tensor_files import fitting, read_tensors, write_tensors


# AutoTinyBERT, released code: width, layers, mean feed-forward width, mean attention width, each over its norm.
NORMS = (768, 12, 3072, 768)


class NetworkPredictor(nn.Module):
    """
    `hidden` units (AutoTinyBERT 2000, HAT 400) in four layers with ReLU (input map and `layers` more), one output,
    the time over `time_norm`. It does not use the number of heads. It is made for thousands of measured networks
    (about ten thousand in the paper); with a few dozen the linear predictor is better.
    """

    def __init__(self, hidden: int = 2000, layers: int = 3, time_norm: float = 1.0) -> None:
        super().__init__()
        widths = [len(NORMS), *[hidden] * (layers + 1)]
        maps = [nn.Linear(one, two) for one, two in zip(widths, widths[1:], strict=False)]
        self.stack = nn.Sequential(*[part for each in maps for part in (each, nn.ReLU())], nn.Linear(hidden, 1))
        self.time_norm = time_norm

    @classmethod
    def fit(
        cls,
        configs: Sequence[AutoBertConfig],
        ratios: Sequence[float],
        hidden: int = 2000,
        layers: int = 3,
        time_norm: float = 1.0,
        steps: int = 5000,
        batch: int = 128,
        learning_rate: float = 1e-5,
        seed: int = 0,
    ) -> "NetworkPredictor":
        """Fits by squared error with Adam; defaults as in the released code. Deterministic in its arguments."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = cls(hidden, layers, time_norm)
        x, y = _normed(map(_sizes, configs)), torch.tensor(ratios) / time_norm
        draws = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
        for _ in range(steps):
            rows = torch.randperm(len(x), generator=draws)[:batch]
            nn.functional.mse_loss(network(x[rows]), y[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
        return network

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (networks, 4) to normed times (networks,)."""
        return self.stack(features).squeeze(-1)

    def predict(self, configs: Sequence[AutoBertConfig]) -> list[float]:
        return self.predict_sizes(map(_sizes, configs))

    @torch.no_grad()
    def predict_sizes(self, sizes: Iterable[Sequence[float]]) -> list[float]:
        """From width, layers, mean feed-forward width, mean attention width."""
        return (self(_normed(sizes)) * self.time_norm).tolist()

    def save(self, path: Path) -> None:
        write_tensors(path, self.state_dict(), time_norm=self.time_norm)

    @classmethod
    def load(cls, path: Path) -> "NetworkPredictor":
        weights, metadata = read_tensors(path)
        maps = [name for name in weights if name.endswith("weight")]
        with fitting(path):
            network = cls(len(weights["stack.0.weight"]), len(maps) - 2, float(metadata["time_norm"]))
            network.load_state_dict(weights)
        return network


def _normed(sizes: Iterable[Sequence[float]]) -> torch.Tensor:
    return torch.tensor([*sizes], dtype=torch.float32) / torch.tensor(NORMS)


def _sizes(config: AutoBertConfig) -> tuple[float, ...]:
    layers = [layer for _, layer in config.layers()]
    inner = mean(layer.intermediate_size for layer in layers)
    attention = mean(layer.num_attention_heads * layer.head_dim for layer in layers)
    return float(config.hidden_size), float(config.num_hidden_layers), float(inner), float(attention)
