"""The layers and formulas of a network for cards and figures, from the model folder's configuration."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import BertConfig

from autobert_hf.hub_cards.escape import Safe
from autobert_hf.hub_cards.maths import latex
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import from_bert_config, stock_refusal
from autobert_hf.modeling.formula import STANDARD_ATTENTION, Formula
from autobert_hf.records.architecture import Architecture, Items, freeze
from autobert_hf.records.json_files import read_json
from autobert_hf.records.model_folder import loading


KINDS = {  # singular, plural
    "conv": ("convolution", "convolutions"),
    "full_attention": ("attention layer", "attention layers"),
    "hybrid": ("attention layer with convolutions", "attention layers with convolutions"),
}
MOST_DRAWN = 96  # layers; a longer figure is not readable
HEADS = {  # description, the Hub's name of the task
    "Model": ("An encoder", "feature-extraction"),
    "ForMaskedLM": ("A masked language model", "fill-mask"),
    "ForPreTraining": ("A masked language model with next-sentence prediction", "fill-mask"),
    "ForCausalLM": ("A causal language model", "text-generation"),
    "ForNextSentencePrediction": ("A next-sentence classifier", "text-classification"),
    "ForSequenceClassification": ("A text classifier", "text-classification"),
    "ForTokenClassification": ("A token classifier", "token-classification"),
    "ForQuestionAnswering": ("An extractive question-answering model", "question-answering"),
    "ForMultipleChoice": ("A multiple-choice model", "multiple-choice"),
}


def count_tensors(path: Path) -> int:
    """Number of parameters in a safetensors file, tied ones once."""
    with safe_open(path, framework="pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (no dict)


def loading_options(folder: Path) -> dict[str, Any]:
    """
    What `from_pretrained` needs to be told. Unlike our configuration, that of a plain BERT cannot say that the network
    has no pooler: a random one would be drawn.
    """
    data = read_json(folder / "config.json")
    if data.get("architectures") != ["BertModel"]:
        return {}
    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            names |= set(file.keys())
    return {} if "pooler.dense.weight" in names else {"add_pooling_layer": False}


@dataclass(frozen=True)
class Attention:
    """A formula of the network: `number` from 1 (0: standard attention), canonical text, lines of LaTeX."""

    number: int
    text: str
    latex: list[str]
    is_standard: bool


@dataclass(frozen=True)
class Layer:
    """One layer; `kernel`: taps of its convolution, 0 if there is none. Sizes of skipped halves are 0."""

    number: int
    kind: str
    skipped: bool
    kernel: int
    convolution: str
    heads: int
    head_dim: int
    attention: Attention | None
    width: int
    inner: int
    activation: str


class Network:
    """The network in a model folder, as a card describes it; `config` is an AutoBertConfig, also for BERT."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            DamagedFileError, ModelFileError: if it cannot be read.
        """
        with loading(folder):
            self._read(folder)

    def _read(self, folder: Path) -> None:
        self.data: dict[str, Any] = read_json(folder / "config.json")
        self.is_bert = self.data.get("model_type") == "bert"
        self.config = (
            from_bert_config(BertConfig.from_dict(self.data)) if self.is_bert else AutoBertConfig.from_dict(self.data)
        )
        self.parameters = sum(count_tensors(path) for path in folder.glob("*.safetensors"))
        self.options = loading_options(folder)
        self.is_sentence_transformer = (folder / "modules.json").exists()
        self.has_code = (folder / "modeling_autobert.py").exists()
        self.has_tokenizer = (folder / "tokenizer_config.json").exists()
        self.formulas: dict[str, Attention] = {}
        self.views = list(self.config.layers())
        self.layers = [self._layer(index, kind, layer) for index, (kind, layer) in enumerate(self.views)]

    def _layer(self, index: int, kind: str, layer: AutoBertConfig) -> Layer:
        attends = kind != "conv" and "mixer" not in layer.skip
        return Layer(
            number=index + 1,
            kind=kind,
            skipped="mixer" in layer.skip,
            kernel=layer.conv_kernel_size if kind == "conv" else layer.qkv_conv_size,
            convolution="light-weight" if layer.conv_type == "lightweight" else "separable",
            heads=layer.num_attention_heads if attends else 0,
            head_dim=layer.head_dim if attends else 0,
            attention=self._attention(layer.attention_formula) if attends else None,
            width=layer.layer_width,
            inner=0 if "feed_forward" in layer.skip else layer.intermediate_size,
            activation=layer.hidden_act,
        )

    def _attention(self, text: str) -> Attention:
        formula = Formula(text)
        is_standard = formula.text == Formula(STANDARD_ATTENTION).text
        if formula.text not in self.formulas:
            number = 0 if is_standard else 1 + sum(not known.is_standard for known in self.formulas.values())
            self.formulas[formula.text] = Attention(number, formula.text, latex(formula.graph), is_standard)
        return self.formulas[formula.text]

    def is_built_as(self, architecture: Architecture) -> bool:
        """Whether the network agrees with all values of a trial's architecture."""

        def has(config: AutoBertConfig, values: Items, **own: str) -> bool:
            return freeze({name: own.get(name, getattr(config, name, None)) for name, _ in values}) == values

        layers = architecture.layers
        return has(self.config, architecture.settings) and (
            not layers
            or len(layers) == len(self.views)
            and all(has(view, layer, layer_type=kind) for (kind, view), layer in zip(self.views, layers, strict=True))
        )

    @property
    def grade(self) -> str:
        """`stock`: loads with transformers alone; `plugin`: with this package, or with the code in its folder."""
        return "stock" if self.is_bert else "plugin"

    @property
    def is_untrained(self) -> bool:
        """Whether the configuration says that the weights are random."""
        return self.data.get("untrained") is True

    @property
    def could_be_stock(self) -> bool:
        return not self.is_bert and stock_refusal(self.config) is None

    @property
    def head(self) -> str:
        name = (self.data.get("architectures") or ["Model"])[0]
        return next((head for head in HEADS if name in (f"AutoBert{head}", f"Bert{head}")), "Model")

    @property
    def fits_a_figure(self) -> bool:
        return len(self.layers) <= MOST_DRAWN

    @property
    def auto_class(self) -> str:
        return "AutoModel" + self.head.removeprefix("Model")

    def loading(self, where: str, **more: bool) -> Safe:
        """The Python expression that loads the network; `where`: its folder, or an id that is safe on a card."""
        options = "".join(f", {name}={value}" for name, value in (self.options | more).items())
        return Safe(f'{self.auto_class}.from_pretrained("{where}"{options})')

    @property
    def what(self) -> str:
        return "A sentence encoder" if self.is_sentence_transformer else HEADS[self.head][0]

    @property
    def pipeline_tag(self) -> str:
        return "sentence-similarity" if self.is_sentence_transformer else HEADS[self.head][1]

    @property
    def labels(self) -> list[str]:
        """The label names of a classifier; empty for other models."""
        names = self.data.get("id2label") or {}
        is_classifier = self.head in ("ForSequenceClassification", "ForTokenClassification")
        return [str(names[key]) for key in sorted(names, key=int)] if is_classifier else []

    @property
    def reach(self) -> int | None:
        """How many tokens to each side influence a token; None for all tokens, by attention."""
        mixers = [layer for layer in self.layers if not layer.skipped]
        return sum(layer.kernel // 2 for layer in mixers) if all(layer.kind == "conv" for layer in mixers) else None

    @property
    def summary(self) -> str:
        """E.g. `3 convolutions and 1 attention layer`."""
        counts = Counter(layer.kind for layer in self.layers if not layer.skipped)
        return " and ".join(f"{n} {KINDS[kind][n > 1]}" for kind, n in counts.most_common()) or "no mixers"
