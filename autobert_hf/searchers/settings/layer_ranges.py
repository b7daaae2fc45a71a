"""Settings of a space whose layers differ in size: a named range, and grids in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.searchers.settings.described import described, several
from autobert_hf.searchers.settings.tokens import TokenSettings
from autobert_hf.searchers.spaces.lts import RANGES, LtsSpace


@dataclass
class LayerRangeSettings(TokenSettings):
    space: Literal["laptop", "gpt2", "encoder"] = described(
        "Ranges of sizes: decoders for a laptop, the published GPT-2-like decoders, or encoders for masked words.",
        "laptop",
    )
    depths: list[str] = several("Numbers of layers to choose from, in place of those of --space.")
    widths: list[str] = several("Widths to choose from.")
    inner_sizes: list[str] = several("Feed-forward widths to choose from; at least 1.7 times a width is legal.")
    heads: list[str] = several("Numbers of heads to choose from.")

    tokenizer: str = described(
        "Tokenizer id or folder that the networks are made for. Default: none, ids up to --vocab-size.", "", place=True
    )
    length: int = described("Context length, in tokens.", 256, least=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ranges  # noqa: B018 (raises if invalid)

    @property
    def is_decoder(self) -> bool:
        return self.space != "encoder"

    @property
    def ranges(self) -> LtsSpace:
        """
        Raises:
            ValueError: if a grid holds no whole numbers, or the grids do not fit together.
        """
        given = {
            "num_hidden_layers": self.depths,
            "hidden_size": self.widths,
            "intermediate_size": self.inner_sizes,
            "num_attention_heads": self.heads,
        }
        return replace(RANGES[self.space], **{name: _whole(name, texts) for name, texts in given.items() if texts})

    def base_config(self, vocab_size: int, ids: Mapping[str, Any]) -> AutoBertConfig:
        """
        GPT-2's kind of network (norms before, one after the last layer, none after the embeddings), or an encoder with
        the same norms; without dropout. `ids`: those of special tokens. Sizes are those of a candidate.
        """
        largest = self.ranges.largest()
        sizes: dict[str, Any] = largest.layer_dicts[0] | dict(largest.settings)
        del sizes["layer_type"]
        return AutoBertConfig(
            **sizes,
            **ids,
            vocab_size=vocab_size,
            num_hidden_layers=len(largest.layers),
            max_position_embeddings=self.length,
            type_vocab_size=0 if self.is_decoder else 2,
            norm_position="pre",
            final_norm=True,
            embedding_norm=not self.is_decoder,
            hidden_act="gelu_pytorch_tanh" if self.is_decoder else "gelu",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            is_decoder=self.is_decoder,
        )


def _whole(name: str, texts: list[str]) -> list[int]:
    try:
        return sorted({int(text) for text in texts})
    except ValueError as error:
        raise ValueError(f"{name} holds {', '.join(texts)}: give whole numbers.") from error
