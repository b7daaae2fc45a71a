"""Settings of a sliced supernet, and of the grids of AutoTinyBERT's space."""

from dataclasses import dataclass

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class SupernetSettings(SearchSettings):
    supernet_steps: int = described("Training steps of the supernet.", 1000, least=1)
    subnetworks: int = described("Sub-networks in each shard of a batch (M of the paper).", 3, least=1)


@dataclass
class SliceSettings(SupernetSettings):
    identical: bool = described("Identical layers in a network (ILS); False: the HAT-like baseline.", True)
    width_step: int = described("Step of the width's grid, even.", 16, least=2)
    inner_step: int = described("Step of the feed-forward width's grid.", 32, least=1)
    stock: bool = described("Only networks that a plain BERT configuration can express.", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width_step % 2:
            raise ValueError(f"width_step is {self.width_step}: give an even number.")
