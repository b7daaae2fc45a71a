"""One configuration for every searched BERT-like network."""

from .required_transformers import check_transformers  # noqa: F401 (first: importing it checks the version)


# isort: split

import reprlib
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassError
from transformers.activations import ACT2FN
from transformers.configuration_utils import PreTrainedConfig

from .arithmetic import count_parameters
from .configuration_checks import MAX_KERNEL, refuse_bad_extras, refuse_bad_size, refuse_bad_values, refuse_deep
from .formula import STANDARD_ATTENTION, Formula, GraphError


FORMAT_VERSION = 1
MAX_LAYERS = 1000

# Sizes that may be left out: None is accepted, and replaced by what follows from the other sizes.
if TYPE_CHECKING:
    Derived = int
    LayerTypes = list[str]
else:
    Derived = int | None
    LayerTypes = list[Literal["full_attention", "conv", "hybrid"]] | None

# What an entry of `per_layer_config` may override; anything else is a typing error that would be silently ignored.
PER_LAYER_FIELDS = (
    "skip",
    "num_attention_heads",
    "head_dim",
    "attention_formula",
    "qkv_conv_size",
    "conv_type",
    "conv_kernel_size",
    "conv_num_heads",
    "conv_softmax",
    "intermediate_size",
    "hidden_act",
    "gated_ffn",
    "layer_width",
)
HALVES = ("feed_forward", "mixer")

_SIZES = ("num_attention_heads", "head_dim", "conv_kernel_size", "conv_num_heads", "intermediate_size", "layer_width")
_GLOBAL_SIZES = ("vocab_size", "hidden_size", "embedding_size", "num_hidden_layers", "max_position_embeddings")
_AUTO_HEADS = {
    "AutoModel": "Model",
    "AutoModelForTextEncoding": "Model",
    "AutoModelForPreTraining": "ForPreTraining",
    "AutoModelForMaskedLM": "ForMaskedLM",
    "AutoModelForCausalLM": "ForCausalLM",
    "AutoModelForNextSentencePrediction": "ForNextSentencePrediction",
    "AutoModelForSequenceClassification": "ForSequenceClassification",
    "AutoModelForTokenClassification": "ForTokenClassification",
    "AutoModelForQuestionAnswering": "ForQuestionAnswering",
    "AutoModelForMultipleChoice": "ForMultipleChoice",
}
# Complete from the start: a repository saved from one head must load remotely as any other.
AUTO_MAP = {"AutoConfig": "configuration_autobert.AutoBertConfig"} | {
    auto: f"modeling_autobert.AutoBert{head}" for auto, head in _AUTO_HEADS.items()
}


@strict
class AutoBertConfig(PreTrainedConfig):
    r"""
    Everything needed to build one AutoBert network. Layer `i` is a mixer (`layer_types[i]`) followed by a
    feed-forward network, each with a residual connection and a norm, as in BERT; the defaults are BERT-base.
    What differs between layers stands in `per_layer_config`, e.g. `{3: {"conv_kernel_size": 9}}`.

    Args:
        vocab_size, hidden_size, num_hidden_layers, max_position_embeddings, type_vocab_size, pad_token_id,
        tie_word_embeddings, layer_norm_eps, initializer_range, hidden_dropout_prob,
        attention_probs_dropout_prob, classifier_dropout: as in BERT. `type_vocab_size=0` leaves token types out.
        embedding_size (`int`, *optional*, defaults to `hidden_size`):
            Width of the embedding tables; a linear map follows where it differs from the first layer's width.
        layer_types (`list[str]`, *optional*, defaults to attention everywhere):
            `full_attention`, `conv`, or `hybrid` (attention with a convolution after the projections).
        num_attention_heads, head_dim (`int`, per layer):
            The attention width is their product, independent of `hidden_size`.
        attention_formula (`str`, per layer):
            Attention mechanism over the projections q, k, v, p as text, e.g. `softmax(q @ k.T / sqrt(d)) @ v`.
        qkv_conv_size (`int`, per layer, defaults to 0):
            Kernel of the depthwise convolution after each projection (Primer's MDHA: 3); needs layer type `hybrid`.
        conv_type (`str`, per layer): `lightweight` (linear, GLU, convolution shared in heads, linear; Wu et al.,
            2019) or `separable` (depthwise, pointwise, activation; NAS-BERT, MAGIC).
        conv_kernel_size, conv_num_heads, conv_softmax (per layer):
            Taps (odd), kernels per layer (`lightweight` only; default `num_attention_heads`), softmax over the taps.
        intermediate_size, hidden_act, gated_ffn (per layer):
            Feed-forward network; `gated_ffn` multiplies a second projection in (SwiGLU with `hidden_act="silu"`).
        layer_width (`int`, per layer, defaults to `hidden_size`):
            Width inside the layer; linear maps stand exactly where the width changes (NAS-BERT's blocks).
        skip (per layer only): halves that the layer leaves out, of `mixer` and `feed_forward`.
        norm_type (`layer_norm` or `rms_norm`), norm_position (`post` as BERT, `pre` as GPT-2, `primer`: before the
            mixer and after the feed-forward network inside its branch), final_norm, embedding_norm.
        add_pooling_layer (`bool`): whether `AutoBertModel` has BERT's pooler. A model with a head sets it to what the
            head needs.
        sparse_prediction (`bool`): masked-LM logits at labelled positions only, when labels are given.
        is_decoder, use_cache (`bool`): causal language model.
        supernet (`dict`, *optional*): the sizes that a supernet's checkpoint holds, see `SuperNetSpace`.
        untrained (`bool`): the weights are random, since a search that trains nothing found the architecture. Loading
            warns of it. Models saved with changed layers lose it; `config.untrained = False` takes it out by hand.
        format_version (`int`): of this vocabulary; newer versions than the installed one are refused.

    Example:

    ```python
    >>> from autobert_hf import AutoBertConfig
    >>> config = AutoBertConfig(num_hidden_layers=2, layer_types=["conv", "full_attention"], conv_kernel_size=9)
    >>> config.per_layer_config[0].conv_kernel_size
    9

    ```
    """

    model_type = "autobert"
    keys_to_ignore_at_inference = ["cache"]
    # No field: transformers sets it on the configurations of single layers, from `per_layer_config`.
    skip: ClassVar[Sequence[str]] = ()
    # Guards against a configuration that would exhaust memory before anybody can look at it.
    parameter_budget: ClassVar[int] = 4_000_000_000

    vocab_size: int = 30522
    hidden_size: int = 768
    embedding_size: Derived = None  # type: ignore[assignment]
    num_hidden_layers: int = 12
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = True
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    hidden_dropout_prob: float | int = 0.1
    attention_probs_dropout_prob: float | int = 0.1
    classifier_dropout: float | int | None = None

    layer_types: LayerTypes = None  # type: ignore[assignment]
    num_attention_heads: int = 12
    head_dim: Derived = None  # type: ignore[assignment]
    attention_formula: str = STANDARD_ATTENTION
    qkv_conv_size: int = 0
    conv_type: Literal["lightweight", "separable"] = "lightweight"
    conv_kernel_size: int = 3
    conv_num_heads: Derived = None  # type: ignore[assignment]
    conv_softmax: bool = False
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    gated_ffn: bool = False
    layer_width: Derived = None  # type: ignore[assignment]

    norm_type: Literal["layer_norm", "rms_norm"] = "layer_norm"
    norm_position: Literal["post", "pre", "primer"] = "post"
    final_norm: bool = False
    embedding_norm: bool = True
    add_pooling_layer: bool = True
    sparse_prediction: bool = False
    is_decoder: bool = False
    use_cache: bool = True
    supernet: dict[str, Any] | None = None
    untrained: bool = False
    format_version: int = FORMAT_VERSION

    def __post_init__(self, **kwargs: Any) -> None:
        if self.format_version > FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is newer than {FORMAT_VERSION}, the newest that this "
                "autobert_hf reads; upgrade with `pip install -U autobert-hf`."
            )
        _refuse_bad_overrides(kwargs.get("per_layer_config"), self.num_hidden_layers)
        if "skip" in kwargs:
            raise ValueError("`skip` differs by layer: write per_layer_config={layer: {'skip': [...]}}.")
        refuse_bad_extras(kwargs, dir(type(self)))
        self.validate_settings()
        if self.head_dim is None:
            self.head_dim = max(self.hidden_size // self.num_attention_heads, 1)
        self.embedding_size = self.embedding_size or self.hidden_size
        self.layer_width = self.layer_width or self.hidden_size
        self.conv_num_heads = self.conv_num_heads or self.num_attention_heads
        if self.layer_types is None:
            self.layer_types = ["full_attention"] * self.num_hidden_layers
        if kwargs.get("num_labels") is None:  # as if it were not there, which transformers does not do
            kwargs.pop("num_labels", None)
        kwargs.setdefault("auto_map", dict(AUTO_MAP))
        super().__post_init__(**kwargs)
        if self.is_heterogeneous:
            # Third-party code uses hasattr() freely, which would raise on a heterogeneous configuration.
            self.allow_global_per_layer_attribute_access = True

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.to_dict() == self.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def _iter_config_keys_with_heterogeneous_adjustment(self, keys: Iterable[str]) -> Iterator[str]:
        # With that access allowed, transformers' own loops over all keys would read, and warn about, each of them.
        hidden = (self.per_layer_attributes or set()) if self.is_heterogeneous else set()
        yield from (key for key in keys if key not in hidden)

    def to_dict(self) -> dict[str, Any]:
        """An ordinary network's says nothing of supernets."""
        settings = super().to_dict()
        return {k: v for k, v in settings.items() if k != "supernet" or v is not None}

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:  # noqa: ANN401
        # Which attention library or kernel runs is the choice of whoever loads, never of a file from the Hub.
        settings = {k: v for k, v in config_dict.items() if "_implementation" not in k}
        refuse_deep(settings)
        types, number = settings.get("layer_types"), kwargs.get("num_hidden_layers")
        if number and "layer_types" not in kwargs and isinstance(types, list) and types == types[:1] * len(types):
            # As with BERT, from_pretrained(..., num_hidden_layers=3) is enough where all layers are of one type.
            settings |= {"num_hidden_layers": number, "layer_types": types[:1] * number}
        try:
            if not kwargs:  # transformers would write the configuration out for its log, too
                return cls(**settings)
            loaded = super().from_dict(settings, **kwargs)
            config = loaded[0] if isinstance(loaded, tuple) else loaded
            config.validate()  # again, because keyword arguments are set after construction
        except StrictDataclassError as error:
            raise ValueError(textwrap.shorten(str(error.__cause__), 600, placeholder=" ...")) from error
        return loaded

    @classmethod
    def _dict_from_json_file(cls, json_file: Any) -> dict[str, Any]:  # noqa: ANN401
        try:
            settings = super()._dict_from_json_file(json_file)
        except RecursionError as error:
            raise ValueError(f"{json_file} is nested too deeply for a configuration.") from error
        if not isinstance(settings, dict):
            raise ValueError(f"{json_file} must hold a dictionary of settings, not {type(settings).__name__}.")
        return settings

    @classmethod
    def from_zoo(cls, name: str, **overrides: Any) -> "AutoBertConfig":
        """A published architecture by name, e.g. `autobert-zero-base`; keyword arguments override its settings."""
        from .zoo import zoo_settings

        return cls(**(zoo_settings(name) | overrides))

    def layers(self) -> Iterator[tuple[str, "AutoBertConfig"]]:
        """The layers from bottom to top, each as (layer type, configuration with the layer's own values)."""
        layers: Any = self.per_layer_config
        return zip(self.layer_types, layers, strict=True)

    def validate_settings(self) -> None:
        """Each setting on its own; runs before others are derived from it, after construction and before saving."""
        values = vars(self)
        for name in (*_SIZES, *_GLOBAL_SIZES):
            refuse_bad_size(name, values[name])
        if values["num_hidden_layers"] > MAX_LAYERS:
            raise ValueError(f"num_hidden_layers is {values['num_hidden_layers']}, and at most {MAX_LAYERS}.")
        refuse_bad_values(values)

    def validate_layers(self) -> None:
        """Every layer on its own, then the network as a whole; runs after construction and before saving."""
        if len(self.layer_types) != self.num_hidden_layers:
            raise ValueError(
                f"layer_types has {len(self.layer_types)} entries for num_hidden_layers={self.num_hidden_layers}; "
                "give one layer type per layer."
            )
        for index, (kind, layer) in enumerate(self.layers()):
            try:
                _validate_layer(kind, layer, self.is_decoder)
            except ValueError as error:
                raise ValueError(f"Layer {index}: {error}") from error
        if self.is_decoder and "full_attention" not in self.layer_types and "hybrid" not in self.layer_types:
            raise ValueError(
                "is_decoder=True needs at least one attention layer: a decoder of convolutions only has no cache "
                "that counts positions. Make one layer 'full_attention' or 'hybrid'."
            )
        if (parameters := count_parameters(self)) > self.parameter_budget:
            raise ValueError(
                f"This configuration has {parameters:,} parameters, more than the budget of "
                f"{self.parameter_budget:,}. If you mean it, raise AutoBertConfig.parameter_budget first."
            )


def _refuse_bad_overrides(per_layer_config: object, num_hidden_layers: int) -> None:
    if per_layer_config is None:
        return
    if not isinstance(per_layer_config, dict) or not all(isinstance(o, dict) for o in per_layer_config.values()):
        raise ValueError("per_layer_config must map layer numbers to dictionaries of overrides.")
    for index, overrides in per_layer_config.items():
        number = str(index)
        if not number.isdecimal() or len(number) > 9 or int(number) >= num_hidden_layers:
            raise ValueError(
                f"per_layer_config names layer {reprlib.repr(index)}, but the layers are 0 to {num_hidden_layers - 1}."
            )
        for name, value in overrides.items():
            if name not in PER_LAYER_FIELDS:
                raise ValueError(
                    f"Layer {index}: {reprlib.repr(name)} cannot differ by layer. What can: "
                    f"{', '.join(PER_LAYER_FIELDS)}."
                )
            if name in _SIZES:
                refuse_bad_size(f"Layer {index}: {name}", value)
            if name == "skip" and not (isinstance(value, list | tuple) and all(isinstance(x, str) for x in value)):
                raise ValueError(f"Layer {index}: skip must be a list of halves, got {reprlib.repr(value)}.")


def _validate_layer(kind: str, layer: AutoBertConfig, is_decoder: bool) -> None:
    if unknown := set(layer.skip) - set(HALVES):
        raise ValueError(f"skip holds {sorted(unknown)}; a layer has the halves {list(HALVES)}.")
    if "feed_forward" not in layer.skip and layer.hidden_act not in ACT2FN:
        raise ValueError(f"hidden_act {layer.hidden_act!r} is unknown; transformers has {', '.join(sorted(ACT2FN))}.")
    if "mixer" in layer.skip:
        if is_decoder:
            raise ValueError("a decoder cannot skip a mixer: its cache needs an entry from every layer.")
        return
    if kind == "conv":
        _validate_convolution(layer)
    else:
        _validate_attention(kind, layer, is_decoder)


def _validate_convolution(layer: AutoBertConfig) -> None:
    if layer.conv_kernel_size % 2 == 0:
        raise ValueError(f"conv_kernel_size must be odd, got {layer.conv_kernel_size}.")
    if layer.conv_type == "lightweight" and layer.layer_width % layer.conv_num_heads:
        raise ValueError(f"layer_width {layer.layer_width} is not divisible by conv_num_heads {layer.conv_num_heads}.")


def _validate_attention(kind: str, layer: AutoBertConfig, is_decoder: bool) -> None:
    if (kind == "hybrid") != (layer.qkv_conv_size > 0):
        raise ValueError(
            f"layer type {kind!r} with qkv_conv_size={layer.qkv_conv_size}: a convolution after the projections "
            "needs layer type 'hybrid', and 'hybrid' needs qkv_conv_size > 0."
        )
    if not 0 <= layer.qkv_conv_size <= MAX_KERNEL or (layer.qkv_conv_size and layer.qkv_conv_size % 2 == 0):
        raise ValueError(f"qkv_conv_size must be 0, or odd and at most {MAX_KERNEL:,}, got {layer.qkv_conv_size}.")
    try:
        formula = Formula(layer.attention_formula)
    except GraphError as error:
        raise ValueError(f"attention_formula: {error}") from error
    if is_decoder and not formula.causal:
        raise ValueError(f"attention_formula {formula.text!r} cannot be used in a decoder: {formula.causal_refusal}")
