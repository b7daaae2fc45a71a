"""Text, what is learned from it, and how candidates are judged on it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.corpus import open_text, prepare, read_facts
from autobert_hf.lab.data.inputs import Inputs, folder_inputs, public_name
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.records.goals import Goals
from autobert_hf.searchers.evaluators.candidate_tasks import CandidateTasks
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings.described import Quantity, described, several
from autobert_hf.searchers.settings.tokens import TokenSettings


UNKNOWN = 0.05  # share of unknown words that is worth a warning
MARKS = 0.1  # marks per letter: more than in French or German, less than in Vietnamese or Hindi


@dataclass
class TextSettings(TokenSettings):
    has_teacher: ClassVar[bool] = False  # whether networks of the method may learn from one

    train_file: list[str] = several(
        "Files or folders: text, parquet, csv, tsv, json, jsonl, ndjson, also .gz and .zst. Without: built-in text.",
        local=True,
    )
    validation_file: list[str] = several("Held-out text. Without: 5 percent of the documents.", local=True)
    dataset: str = described("Hub data set instead of files, read as it is needed.", "", place=True)
    text_column: str = described("Column of tables and data sets that holds the text.", "text")
    max_train_tokens: Quantity | None = described("Most tokens to train on, e.g. 100M: no more is read.", None)

    loss: str = described(f"What networks learn: {', '.join(LOSSES)}.", "mlm")
    final_loss: str = described("What the winner learns at last. Without: as --loss; mlm after blocks.", "")
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
        if not self.final_loss and self.loss in LOSSES:
            self.final_loss = self.loss if LOSSES[self.loss].is_whole else "mlm"
        for option, name in (("--loss", self.loss), ("--final-loss", self.final_loss)):
            if name not in LOSSES:
                raise ValueError(f"{option} {name} is unknown: choose from {', '.join(LOSSES)}.")
            if LOSSES[name].decoders not in (None, self.is_decoder):
                others = [loss for loss, kind in LOSSES.items() if kind.decoders == self.is_decoder]
                trained, found = ("encoders", "decoders") if self.is_decoder else ("decoders", "encoders")
                raise ValueError(
                    f"{option} {name} trains {trained}, and this run searches for {found}: choose from "
                    f"{', '.join(others)}."
                )
        if self.needs_teacher and not self.has_teacher:
            raise ValueError(
                f"{self.needs_teacher} needs a teacher, which this method does not have: give --loss mlm."
            )
        if not LOSSES[self.final_loss].is_whole:
            raise ValueError(
                f"--final-loss {self.final_loss} leaves word embeddings and head untrained: give mlm, or another."
            )
        _refuse_equal_names(self.proxy_task)
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
        if self.max_train_tokens is not None and self.max_train_tokens < self.batch_size * self.length:
            raise ValueError(
                f"--max-train-tokens {self.max_train_tokens:.0f} is less than one batch of {self.batch_size} rows "
                f"with {self.length} tokens: give more."
            )

    @property
    def needs_teacher(self) -> str:
        """The option that asks for a teacher, such as `--loss paper`; empty if none does."""
        given = {"--loss": self.loss, "--final-loss": self.final_loss}
        return next((f"{option} {name}" for option, name in given.items() if LOSSES[name].needs_teacher), "")

    @property
    def is_decoder(self) -> bool:
        """Whether the networks of the method are decoders."""
        return False

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
            self.cased,
            self.trust_remote_code,
        )

    def open_text(self, run: Run) -> Text:
        folder = run.path / "text"
        with run.team.main_first():
            prepare(self.source(), folder)
        if run.team.is_main and not (run.path / "report" / "text.json").exists():
            facts = read_facts(folder)
            warn_of_unknown_words(facts["unknown"])
            warn_of_lost_marks(facts["tokenizer"].get("marks_lost", 0.0))
        text = open_text(self.source(), folder, self.batch_size, self.held_out_rows, self.seed, run.team.device)
        run.tracking.constant("word_frequency_floor", text.floor)
        return text

    def goals(self, unit: str, floor: float | None = None) -> Goals:
        """The mean score of the proxy tasks where there are any comes first."""
        if self.proxy_task:
            return Goals.named("task_score", self.trade_off, self.limits)
        return super().goals(unit, floor)

    def tasks(self, text: Text, team: Team) -> CandidateTasks:
        return CandidateTasks(self.proxy_task, text.tokenizer, self.length, self.proxy_rows, team, text.train.seed)

    def final_recipe(self, text: Text) -> Recipe:
        steps = self.final_tokens // text.train.tokens_per_batch
        warmup, decay = self.final_warmup, self.final_decay
        return Recipe(steps, self.learning_rate, warmup=warmup, decay=decay, shards=self.shards)

    def recorded(self) -> dict[str, Any]:
        """Proxy tasks by their names, which are names of scores."""
        return super().recorded() | {"proxy_task": [public_task(spec) for spec in self.proxy_task]}

    def places(self) -> dict[str, Any]:
        tasks = [_absolute(spec) for spec in self.proxy_task]
        is_local = tasks != [public_task(spec) for spec in self.proxy_task]
        return super().places() | ({"proxy_task": tasks} if is_local else {})

    def inputs(self) -> Inputs:
        inputs = super().inputs() | self.source().inputs()
        folders = [Path(spec.partition("@")[0]) for spec in self.proxy_task]
        found = [folder_inputs(folder) for folder in folders if folder.is_dir()]
        return inputs | ({"proxy task": {name: part[name] for part in found for name in part}} if found else {})


def warn_of_unknown_words(share: float) -> None:
    if share > UNKNOWN:
        warnings.warn(
            f"{share:.1%} of the text are words that the tokenizer does not know: give a larger --vocab-size, or a "
            "--tokenizer that knows the language and its script.",
            stacklevel=2,
        )


def warn_of_lost_marks(share: float) -> None:
    if share > MARKS:
        warnings.warn(
            f"{share:.0%} of the letters of the text have marks, which the uncased tokenizer strips, as it makes e of "
            "é: where they tell words apart, as in Vietnamese or Hindi, give --cased.",
            stacklevel=2,
        )


def public_task(spec: str) -> str:
    """A proxy task as the run records it: of a folder its name, since a path says something of this machine."""
    name, at, metric = spec.partition("@")
    return f"{public_name(name)}{at}{metric}"


def _absolute(spec: str) -> str:
    name, at, metric = spec.partition("@")
    return f"{Path(name).absolute()}{at}{metric}" if Path(name).exists() else spec


def _refuse_equal_names(specifications: Sequence[str]) -> None:
    """Names of tasks are names of scores, of which a later one would replace an earlier one."""
    names = [public_task(spec).partition("@")[0] for spec in specifications]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"Two of the proxy tasks are called {twice[0]}: rename one of the folders, or give a task once, with "
            f"several metrics as {twice[0]}@METRIC+METRIC."
        )
