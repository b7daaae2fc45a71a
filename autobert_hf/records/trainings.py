"""The trainings of a run, as `report/trainings.json` lists them by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobert_hf.records.json_files import write_record
from autobert_hf.records.run_folder import read_report
from autobert_hf.records.tensor_files import read_metadata


REPORT = Path("report", "trainings.json")
NEXT_WORDS_UNIT = "nats per token"  # of causal language models, whose perplexity is exp of their loss
FINAL = "final/"  # begins the names of final trainings; the others are of weights that candidates share


@dataclass(frozen=True)
class Training:
    """`step`: how far it is, as its last checkpoint says; `steps` and `tokens`: of the whole training."""

    name: str
    steps: int
    tokens: int
    step: int

    @property
    def is_done(self) -> bool:
        return self.step == self.steps

    @property
    def is_final(self) -> bool:
        return self.name.startswith(FINAL)


def weights_file(run: Path, name: str) -> Path:
    """What a finished training leaves."""
    return run / f"{name}.safetensors"


def checkpoint_file(run: Path, name: str) -> Path:
    """What an unfinished one leaves."""
    path = weights_file(run, name)
    return path.with_name(f"training-{path.name}")


def record_training(run: Path, name: str, steps: int, tokens: int, is_done: bool) -> None:
    row = {"steps": steps, "tokens": tokens, "done": is_done}
    known = read_report(run / REPORT)
    if known.get(name) != row:
        write_record(run / REPORT, known | {name: row})


def read_trainings(run: Path) -> list[Training]:
    """In the order of their names."""
    rows: dict[str, dict[str, Any]] = read_report(run / REPORT)
    return [
        Training(name, row["steps"], row["tokens"], row["steps"] if row["done"] else _step(checkpoint_file(run, name)))
        for name, row in rows.items()
    ]


def _step(checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    return int(read_metadata(checkpoint)["step"])
