"""AutoDistil's supernets (Xu et al., 2022, section 3.2): one for each box of sizes, cut out of one large network."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import cast

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.modeling.subnetwork import SubNetwork
from autobert_hf.modeling.supernet_space import SIZES
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.study import Study
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.spaces.size_box import SizeBox
from autobert_hf.searchers.supernets.elastic import FOLDER, save_elastic
from autobert_hf.searchers.supernets.layer_choice import spread_layers
from autobert_hf.searchers.supernets.sliced import SlicedSupernet


def box_supernets(space: AutoDistilSpace, large: AutoBertPreTrainedModel) -> dict[str, SlicedSupernet]:
    """Supernets by name, `box-1` the one of the smallest box."""
    return {f"box-{number}": box_supernet(box, large) for number, box in enumerate(space.boxes, start=1)}


def box_supernet(box: SizeBox, large: AutoBertPreTrainedModel) -> SlicedSupernet:
    """
    The largest network of the box: leading rows, columns and heads of `large`, and layers spread out over its depth.
    In the same way its own sub-networks take layers spread out over the depth of the box.
    """
    largest, depth = box.largest(), max(box.num_hidden_layers)
    layers = {depth: spread_layers(depth, large.config.num_hidden_layers)}
    module = cast(AutoBertPreTrainedModel, SlicedSupernet(box, large, layers).extract(largest))
    module.to(large.device)  # type: ignore[arg-type]  # a decorator of transformers hides the method
    return SlicedSupernet(box, module, {number: spread_layers(number, depth) for number in box.num_hidden_layers})


class JoinedSupernets:
    """The supernets of a space's boxes as one: an architecture is on that of its box."""

    def __init__(self, space: AutoDistilSpace, supernets: Mapping[str, SlicedSupernet]) -> None:
        self.space = space
        self.supernets = dict(supernets)
        self.module = nn.ModuleDict({name: supernet.module for name, supernet in supernets.items()})

    def only(self, names: Collection[str]) -> "JoinedSupernets":
        """The supernets of these names, and their boxes."""
        kept = {name: one for name, one in self.supernets.items() if name in names}
        boxes = [box for name, box in zip(self.supernets, self.space.boxes, strict=True) if name in names]
        return JoinedSupernets(AutoDistilSpace(boxes), kept)

    def save(self, run: Run, study: Study, tokenizer: PreTrainedTokenizerBase, reference: str | None = None) -> None:
        """Each supernet in `supernet/model-NAME` of the run, with the front of its own students."""
        for (name, supernet), box in zip(self.supernets.items(), self.space.boxes, strict=True):
            grids = {size: box.grid(size) for size in SIZES}
            own = replace(study, recorded=[one for one in study.recorded if box.contains(one.architecture)])
            if run.team.is_main:
                save_elastic(supernet, grids, own, run.path / f"{FOLDER}-{name}", tokenizer, reference)

    def name_of(self, architecture: Architecture) -> str:
        """The name of the supernet; OutsideError if no box holds the architecture."""
        return [*self.supernets][self.space.boxes.index(self.space.box_of(architecture))]

    def holding(self, architecture: Architecture) -> SlicedSupernet:
        return self.supernets[self.name_of(architecture)]

    def network(self, architecture: Architecture, training: bool = True) -> SubNetwork:
        return self.holding(architecture).network(architecture, training)

    def views(self, architecture: Architecture) -> dict[str, Tensor]:
        """By the names in the supernet of the architecture's box."""
        return self.holding(architecture).views(architecture)

    def extract(self, architecture: Architecture) -> PreTrainedModel:
        return self.holding(architecture).extract(architecture)
