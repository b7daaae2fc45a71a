"""The trainings of a run, as `report/trainings.json` lists them by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from autobert_hf.records.run_folder import read_report, write_json


REPORT = Path("report", "trainings.json")
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
        write_json(run / REPORT, known | {name: row})


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
    with safe_open(checkpoint, framework="pt") as file:
        return int(file.metadata()["step"])
