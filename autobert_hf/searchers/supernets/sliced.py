"""The SuperPLM of AutoTinyBERT (section 3.2): one network whose slices are the architectures."""

from collections.abc import Mapping, Sequence

from torch import Tensor
from transformers import PreTrainedModel

from autobert_hf.modeling.modeling_autobert import AutoBertPreTrainedModel
from autobert_hf.modeling.slicing import Cut, LayerCut, slice_state
from autobert_hf.modeling.subnetwork import Sliceable, SubNetwork
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.autotinybert import IN_LAYER
from autobert_hf.searchers.spaces.space import Space


class SlicedSupernet:
    """
    Every architecture of a space of sizes (AutoTinyBERT's, AutoDistil's) as a slice of the weights of `module`.
    `depths` maps a number of layers to the layers used. The default, the first ones, suits only a supernet trained
    from scratch: for a pretrained network they are the worst choice.
    """

    def __init__(
        self,
        space: Space,
        module: AutoBertPreTrainedModel,
        depths: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        self.space = space
        self.module = module
        self.sliceable = Sliceable(module)
        self.depths = dict(depths or {})

    def cut(self, architecture: Architecture) -> Cut:
        settings, layers = dict(architecture.settings), architecture.layer_dicts
        sources = self.depths.get(len(layers), range(len(layers)))
        hidden_size, whole = settings["hidden_size"], self.sliceable.cut
        factorized = whole.embedding_size != whole.hidden_size
        cuts = [
            LayerCut(source, **{name: (settings | layer)[name] for name in IN_LAYER})
            for source, layer in zip(sources, layers, strict=True)
        ]
        return Cut(hidden_size, whole.embedding_size if factorized else hidden_size, tuple(cuts))

    def network(self, architecture: Architecture, training: bool = True) -> SubNetwork:
        return self.sliceable.part(self.cut(architecture), training)

    def views(self, architecture: Architecture) -> dict[str, Tensor]:
        """Views; weights of narrowed heads are copies, as no slice of a matrix holds a part of each head."""
        return slice_state(self.sliceable.state(), self.sliceable.cut, self.cut(architecture))

    def extract(self, architecture: Architecture) -> PreTrainedModel:
        return self.sliceable.extract(self.cut(architecture))
