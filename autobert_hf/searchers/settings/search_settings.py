"""What every search can be told, with defaults that run on a laptop in minutes; a method adds its own."""

import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from autobert_hf.lab.data.corpus import Source
from autobert_hf.lab.data.text import sha256_of
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.goals import Limits


T = TypeVar("T")
UNITS = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}


class Quantity(float):
    """A number that may be written with a unit: 250K, 5M, 1.2G."""

    def __new__(cls, text: str | float) -> "Quantity":
        found = re.fullmatch(r"([\d.eE+-]+)([KMGBT]?)", str(text))
        if not found:
            raise ValueError(f"{text} is no number: write 5000000, 5e6 or 5M.")
        return super().__new__(cls, float(found[1]) * UNITS[found[2]])


def described(text: str, default: T) -> T:
    return field(default=default, metadata={"help": text})


def several(text: str) -> list[str]:
    """A setting with several values, after one another or each with the option's name before it."""
    return field(default_factory=list, metadata={"help": text, "action": "extend"})


@dataclass
class SearchSettings:
    """
    Raises:
        ValueError: for numbers that no run can have.
    """

    # The smallest value that makes sense.
    LEAST: ClassVar[dict[str, int]] = {"length": 3} | dict.fromkeys(
        (
            "vocab_size",
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "intermediate_size",
            "proxy_rows",
            "num_trials",
            "batch_size",
            "held_out_rows",
        ),
        1,
    )

    output_dir: str = field(metadata={"help": "Folder of this run; the same command goes on with it."})
    method: str = described("Search method.", "op-nas")
    seed: int = described("Every random draw derives from it.", 0)

    train_file: list[str] = several("Text, parquet, csv or json files. Without: the built-in text.")
    validation_file: list[str] = several("Held-out text. Without: 5 percent of the documents.")
    dataset: str = described("Hub data set with a `text` column, instead of files.", "")
    tokenizer: str = described("Tokenizer id or folder. Without: a WordPiece one is trained on the text.", "")
    vocab_size: int = described("Words of the tokenizer that is trained.", 4000)
    length: int = described("Tokens in a row.", 128)

    num_hidden_layers: int = described("Layers.", 4)
    hidden_size: int = described("Width of the residual stream.", 128)
    num_attention_heads: int = described("Heads; also kernels of a light-weight convolution.", 4)
    intermediate_size: int = described("Inner width of the feed-forward networks.", 512)
    norm_position: Literal["post", "pre"] = described("post as BERT; pre learns sooner in short trainings.", "pre")

    objective: Literal["mlm", "mlm+nsp"] = described("What networks are trained on.", "mlm")
    proxy_task: list[str] = several("Judge candidates by short fine-tunings, their mean: glue/sst2, squad, a folder.")
    proxy_rows: int = described("Training rows of a proxy task.", 2000)
    trade_off: list[str] = several("Also make small: parameters, flops. The non-dominated set is kept.")
    max_params: Quantity | None = described("Most parameters of the masked language model, e.g. 5M.", None)
    max_flops: Quantity | None = described("Most FLOPs of a row of 128 tokens, e.g. 1.2G.", None)

    num_trials: int = described("Candidates to evaluate, failed ones included.", 100)
    batch_size: int = described("Rows in a training batch.", 32)
    learning_rate: float = described("Peak rate of the long trainings.", 1e-3)
    held_out_rows: int = described("Rows on which candidates are scored.", 256)
    final_tokens: int = described("Training tokens of the winner and of the BERT beside it.", 3_000_000)

    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = described("auto: bf16 where it is fast.", "auto")
    cpu: bool = described("Stay on the CPU.", False)

    def __post_init__(self) -> None:
        for item in fields(self):
            value, least = getattr(self, item.name), self.LEAST.get(item.name)
            if least is not None and value < least:
                raise ValueError(f"{item.name} is {value}: give at least {least}.")
            if least is None and isinstance(value, float) and not 0 < value < math.inf:
                raise ValueError(f"{item.name} is {value}: give a number above 0.")
        if unknown := set(self.trade_off) - {"parameters", "flops"}:
            raise ValueError(f"trade_off holds {', '.join(sorted(unknown))}: choose from parameters and flops.")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} cannot be shared out to {self.num_attention_heads} heads: give a "
                "multiple of num_attention_heads."
            )
        if self.final_tokens < self.batch_size * self.length:
            raise ValueError(
                f"final_tokens is {self.final_tokens}, less than one batch of {self.batch_size} rows with "
                f"{self.length} tokens: give more."
            )

    @property
    def limits(self) -> Limits:
        given = {"parameters": self.max_params, "flops": self.max_flops}
        return Limits({name: most for name, most in given.items() if most is not None})

    def source(self) -> Source:
        """Where the text comes from, and what becomes of it."""
        return Source(
            self.train_file,
            self.validation_file,
            self.dataset,
            self.tokenizer,
            self.vocab_size,
            self.length,
            self.seed,
            self.objective,
        )

    def inputs(self) -> dict[str, str]:
        """What a run records of its inputs: names with digests, of proxy tasks in folders too."""
        inputs = dict(self.source().inputs())
        for folder in (Path(spec.partition("@")[0]) for spec in self.proxy_task):
            for file in filter(Path.is_file, sorted(folder.glob("*"))):
                inputs[f"{folder.name}/{file.name}"] = sha256_of(file)
        return inputs

    def base_config(self, vocab_size: int, pad_token_id: int) -> AutoBertConfig:
        """What the search leaves alone. No dropout: it costs much on a CPU and helps nothing this short."""
        return AutoBertConfig(
            vocab_size=vocab_size,
            pad_token_id=pad_token_id,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=max(self.length, 128),
            norm_position=self.norm_position,
            final_norm=self.norm_position == "pre",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
