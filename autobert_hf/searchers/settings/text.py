"""Text, what is learned from it, and how candidates are judged on it."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.corpus import open_text, prepare, read_facts
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.data.text import sha256_of
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.records.goals import Goals
from autobert_hf.searchers.evaluators.candidate_tasks import CandidateTasks
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.described import Quantity, described, several
from autobert_hf.searchers.settings.tokens import TokenSettings


UNKNOWN = 0.05  # share of unknown words that is worth a warning


@dataclass
class TextSettings(TokenSettings):
    train_file: list[str] = several(
        "Files or folders: text, parquet, csv, tsv, json, jsonl, ndjson, also .gz and .zst. Without: built-in text.",
        local=True,
    )
    validation_file: list[str] = several("Held-out text. Without: 5 percent of the documents.", local=True)
    dataset: str = described("Hub data set instead of files, read as it is needed.", "")
    text_column: str = described("Column of tables and data sets that holds the text.", "text")
    max_train_tokens: Quantity | None = described("Most tokens to train on, e.g. 100M: no more is read.", None)

    loss: str = described(f"What networks learn: {', '.join(LOSSES)}; the last three from a teacher.", "mlm")
    final_loss: str = described("What the winner learns in its final training. Without: as --loss.", "")
    proxy_task: list[str] = several("Judge candidates by short fine-tunings, their mean: glue/sst2, squad, a folder.")
    proxy_rows: int = described("Training rows of a proxy task.", 2000, least=1)

    batch_size: int = described("Rows in a training batch.", 32, least=1)
    learning_rate: float = described("Peak rate of the long trainings.", 1e-3)
    held_out_rows: int = described("Rows on which candidates are scored.", 256, least=1)
    final_tokens: int = described("Training tokens of the winner and of the baselines beside it.", 3_000_000)
    final_warmup: float = described("Share of their training in which the rate rises.", 0.05, least=0)
    final_decay: float = described("Share of it at the end in which the rate falls to 0.", 0.3, least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.final_loss = self.final_loss or self.loss
        for option, name in (("--loss", self.loss), ("--final-loss", self.final_loss)):
            if name not in LOSSES:
                raise ValueError(f"{option} {name} is unknown: choose from {', '.join(LOSSES)}.")
        if self.final_warmup + self.final_decay > 1:
            raise ValueError(
                f"final_warmup {self.final_warmup:g} and final_decay {self.final_decay:g} are shares of one training: "
                "give two that add up to 1 or less."
            )
        first, last = LOSSES[self.loss], LOSSES[self.final_loss]
        if first.rows != last.rows:
            raise ValueError(
                f"--final-loss {self.final_loss} reads {last.rows} rows of text, --loss {self.loss} {first.rows} "
                "rows: choose two that read the same."
            )
        if self.final_tokens < self.batch_size * self.length:
            raise ValueError(
                f"final_tokens is {self.final_tokens}, less than one batch of {self.batch_size} rows with "
                f"{self.length} tokens: give more."
            )

    @property
    def needs_teacher(self) -> bool:
        return LOSSES[self.loss].needs_teacher

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
            LOSSES[self.loss].rows,
            self.text_column,
            None if self.max_train_tokens is None else int(self.max_train_tokens),
        )

    def open_text(self, run: Run) -> Text:
        folder = run.path / "text"
        with run.team.main_first():
            prepare(self.source(), folder)
        if run.team.is_main and not (run.path / "report" / "text.json").exists():
            warn_of_unknown_words(read_facts(folder)["unknown"])
        text = open_text(self.source(), folder, self.batch_size, self.held_out_rows, self.seed, run.team.device)
        run.tracking.constant("word_frequency_floor", text.floor)
        return text

    def goals(self, unit: str) -> Goals:
        """The mean score of the proxy tasks where there are any comes first."""
        main, unit = ("task_score", "") if self.proxy_task else ("loss", unit)
        return Goals.named(main, self.trade_off, self.limits, unit)

    def tasks(self, text: Text, team: Team) -> CandidateTasks:
        return CandidateTasks(self.proxy_task, text.tokenizer, self.length, self.proxy_rows, team, text.train.seed)

    def final_recipe(self, text: Text) -> Recipe:
        steps = self.final_tokens // text.train.tokens_per_batch
        warmup, decay = self.final_warmup, self.final_decay
        return Recipe(steps, self.learning_rate, warmup=warmup, decay=decay, shards=self.shards)

    def recorded(self) -> dict[str, Any]:
        return super().recorded() | {"proxy_task": [public_name(spec) for spec in self.proxy_task]}

    def inputs(self) -> dict[str, str]:
        """Of proxy tasks in folders too."""
        inputs = super().inputs() | dict(self.source().inputs())
        for folder in (Path(spec.partition("@")[0]) for spec in self.proxy_task):
            for file in filter(Path.is_file, sorted(folder.glob("*"))):
                inputs[f"{folder.name}/{file.name}"] = sha256_of(file)
        return inputs


def warn_of_unknown_words(share: float) -> None:
    if share > UNKNOWN:
        warnings.warn(
            f"{share:.1%} of the text are words that the tokenizer does not know: give a larger --vocab-size, or a "
            "--tokenizer that knows the language and its script.",
            stacklevel=2,
        )


def public_name(spec: str) -> str:
    """A proxy task as the run records it: of a folder its name, since a path says something of this machine."""
    name, at, metric = spec.partition("@")
    return f"{Path(name).name}{at}{metric}" if Path(name).exists() else spec
