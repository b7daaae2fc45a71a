"""Settings of AutoBERT-Zero's strategies: OP-NAS, evolution without a guide, and random draws."""

from dataclasses import dataclass
from typing import Any, Literal

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class OpNasSettings(SearchSettings):
    strategy: Literal["op-nas", "evolution", "random"] = described("How candidates are chosen.", "op-nas")
    population: int = described("Random candidates of the first round.", 25, least=1)
    parents: int = described("Best candidates that have children in each round (K of the paper).", 5, least=1)
    children: int = described("Children of each parent.", 5, least=1)
    crossover: float = described("Share of children that are crossed with another parent first.", 0.0, least=0)
    alpha: float = described("Weight of exploration in the upper confidence bound (op-nas).", 0.5, least=0)
    temperature: float = described("Temperature of the softmax over upper confidence bounds (op-nas).", 0.5)
    bound_samples: Literal["position", "history"] = described("What N of a bound counts (op-nas).", "position")
    kernel_draws: Literal["bounds", "frequency"] = described(
        "How kernels are drawn (op-nas): by their bounds, or by how often a layer had them.", "bounds"
    )
    path_mutations: Literal["all", "guided"] = described(
        "guided: no mutations that no bound guides, as another operand or a primitive fewer (op-nas).", "all"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crossover > 1:
            raise ValueError(f"crossover is {self.crossover}: give a share of the children, at most 1.")

    def strategy_options(self) -> dict[str, Any]:
        """What the chosen strategy takes beside the sizes of its rounds."""
        named = {"random": [], "evolution": ["crossover"]}.get(
            self.strategy, ["crossover", "alpha", "temperature", "bound_samples", "kernel_draws"]
        )
        return {name: getattr(self, name) for name in named}
