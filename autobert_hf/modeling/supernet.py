"""A trained supernet as a model of its own, that publishes all of its sizes in one checkpoint."""

import copy
import sys
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel
from transformers.dynamic_module_utils import custom_object_save

from .configuration_autobert import AutoBertConfig
from .modeling_autobert import AutoBertPreTrainedModel
from .slicing import Cut
from .subnetwork import Sliceable
from .supernet_card import card
from .supernet_files import write_files
from .supernet_layout import Layout
from .supernet_space import Sizes, SuperNetSpace


class AutoBertSuperNet(AutoBertPreTrainedModel):
    """
    The largest network (any AutoBert model) with the sizes that it holds. Every AutoBert class and Auto class loads a
    size from what this saves: `AutoModel.from_pretrained(folder, architecture="2x")`.
    """

    def __init__(self, config: AutoBertConfig, network: PreTrainedModel | None = None) -> None:
        """`config` has the section `supernet`; `network`: the largest one, by default with random weights."""
        super().__init__(config)
        self.config.supernet = config.supernet  # which ordinary networks leave out
        self.space = SuperNetSpace.of(config)
        if network is None:
            network = self.head(config)(config)
        self.network = network

    @classmethod
    def wrap(cls, network: PreTrainedModel, space: SuperNetSpace) -> "AutoBertSuperNet":
        """A trained network that holds the sizes of `space`."""
        config: Any = copy.deepcopy(network.config)
        config.supernet, config.architectures = space.to_json(), [type(network).__name__]
        return cls(config, network)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """The whole supernet, from a folder or a Hub id that holds one."""
        config = AutoBertConfig.from_pretrained(pretrained_model_name_or_path, **kwargs)
        network = cls.head(config).from_pretrained(pretrained_model_name_or_path, *args, config=config, **kwargs)
        return cls(config, network).eval()

    @staticmethod
    def head(config: AutoBertConfig) -> Any:  # noqa: ANN401 (a class)
        """The class of the network that a supernet's configuration names. Raises ValueError if there is none."""
        name = (config.architectures or ["AutoBertModel"])[0]
        found = getattr(sys.modules[AutoBertPreTrainedModel.__module__], name, None)
        if not isinstance(found, type) or not issubclass(found, AutoBertPreTrainedModel):
            raise ValueError(f"architectures names {name!r}, which is no AutoBert model: fetch config.json again.")
        return found

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """As the largest network."""
        return self.network(*args, **kwargs)

    def cut(self, architecture: object = None) -> Cut:
        """The slice for a name of the front, limits or sizes, as in `from_pretrained`; the largest by default."""
        return self.space.cut(self.space.sizes(architecture, self.config), self.config)

    def extract(self, architecture: object = None) -> PreTrainedModel:
        """That slice as an ordinary model of its own."""
        return Sliceable(self.network).extract(self.cut(architecture))  # type: ignore[arg-type]

    def contains(self, sizes: Sizes) -> bool:
        return self.space.contains(sizes)

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: Any,  # noqa: ANN401
        push_to_hub: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Configuration, modelling files, weights by layer and level, and a card. `kwargs`: for `push_to_hub`."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        config = copy.deepcopy(self.config)
        config.dtype = self.network.dtype
        state = self.network.state_dict()
        write_files(folder, state, Layout.of(self.space, config), self.space.digest(config))
        if self.network.base_model._auto_class is not None:  # as transformers: after registration
            custom_object_save(self.network.base_model, folder, config=config)  # type: ignore[arg-type]
        config.save_pretrained(folder)
        (folder / "README.md").write_text(card(self.space, config), encoding="utf-8")
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", folder.name), **kwargs)
