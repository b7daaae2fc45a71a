"""Everything that a search can be told, with defaults that run on a laptop in minutes."""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from autobert_hf.modeling.configuration_autobert import AutoBertConfig


T = TypeVar("T")


def described(text: str, default: T) -> T:
    return field(default=default, metadata={"help": text})


# The smallest value that makes sense.
LEAST = {"length": 3, "warmup_steps": 0, "candidate_steps": 0} | dict.fromkeys(
    (
        *("vocab_size", "num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size"),
        *("num_trials", "population", "parents", "children", "min_path", "max_path", "batch_size", "held_out_rows"),
    ),
    1,
)


@dataclass
class SearchSettings:
    """
    Raises:
        ValueError: for numbers that no run can have.
    """

    output_dir: str = field(metadata={"help": "Folder of this run; the same command goes on with it."})
    method: str = described("Search method.", "op-nas")
    seed: int = described("Every random draw derives from it.", 0)

    train_file: list[str] = field(
        default_factory=list, metadata={"help": "Text, parquet, csv or json files. Without: the built-in text."}
    )
    validation_file: list[str] = field(
        default_factory=list, metadata={"help": "Held-out text. Without: 5 percent of the documents."}
    )
    dataset: str = described("Hub data set with a `text` column, instead of files.", "")
    tokenizer: str = described("Tokenizer id or folder. Without: a WordPiece one is trained on the text.", "")
    vocab_size: int = described("Words of the tokenizer that is trained.", 4000)
    length: int = described("Tokens in a row.", 128)

    num_hidden_layers: int = described("Layers.", 4)
    hidden_size: int = described("Width of the residual stream.", 128)
    num_attention_heads: int = described("Heads; also kernels of a light-weight convolution.", 4)
    intermediate_size: int = described("Inner width of the feed-forward networks.", 512)
    norm_position: Literal["post", "pre"] = described("post as BERT; pre learns sooner in short trainings.", "pre")

    num_trials: int = described("Candidates to evaluate, failed ones included.", 100)
    population: int = described("Random candidates of the first round.", 25)
    parents: int = described("Best candidates that have children in a round (K of the paper).", 5)
    children: int = described("Children of each parent.", 5)
    alpha: float = described("Weight of exploration in the upper confidence bound (op-nas).", 0.5)
    temperature: float = described("Of the softmax over upper confidence bounds (op-nas).", 0.5)
    min_path: int = described("Fewest primitives of a formula.", 3)
    max_path: int = described("Most primitives of a formula.", 12)

    warmup_steps: int = described("Single-path training steps of the supernet before the search.", 400)
    candidate_steps: int = described("Training steps of each candidate, from inherited weights.", 20)
    batch_size: int = described("Rows in a training batch.", 32)
    learning_rate: float = described("Peak rate of the warm-up and of the final training.", 1e-3)
    candidate_learning_rate: float = described("Rate of the candidates.", 5e-4)
    held_out_rows: int = described("Rows on which candidates are scored.", 256)

    final_training: Literal["scratch", "inherit"] = described("What the winner starts from.", "scratch")
    final_tokens: int = described("Training tokens of the winner and of the BERT beside it.", 3_000_000)

    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = described("auto: bf16 where it is fast.", "auto")
    cpu: bool = described("Stay on the CPU.", False)

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: give at least {least}.")
        if self.min_path > self.max_path:
            raise ValueError(f"min_path is {self.min_path}, more than max_path, {self.max_path}: swap them.")
        for name in ("temperature", "learning_rate", "candidate_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}: give a number above 0.")
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
