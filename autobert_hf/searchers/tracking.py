"""Losses and scores in TensorBoard, Trackio or Weights & Biases, through Accelerate. No tracker ever ends a run."""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from accelerate import Accelerator
from accelerate.tracking import get_available_trackers


PROJECT = "autobert-hf"


def check_installed(tracker: str) -> None:
    """
    Raises:
        ValueError: if `tracker` cannot be had here, naming what to install.
    """
    if tracker == "none" or tracker in map(str, get_available_trackers()):
        return
    package = tracker if find_spec(tracker) is None else "accelerate --upgrade"
    raise ValueError(
        f"--report-to {tracker} needs a package that is missing here or too old: `pip install {package}`, or leave "
        "--report-to out."
    )


class Tracking:
    """
    What the main process tells the tracker of its accelerator; without an accelerator, nothing. It starts with the
    first value, with `config` beside it. `logged.json` in `folder`, which also holds TensorBoard's and W&B's files,
    keeps the run's name there and the last step of each series, so that a run that goes on does so in the same place
    and repeats no step. What a killed process had handed over and the tracker had not yet written is lost.
    """

    def __init__(self, accelerator: Accelerator | None = None, config: Mapping[str, Any] | None = None) -> None:
        has_tracker = accelerator is not None and accelerator.log_with and accelerator.is_main_process
        self.accelerator = accelerator if has_tracker else None
        self.config = dict(config or {})
        self.logged: dict[str, Any] = {}

    def constant(self, name: str, value: float) -> None:
        """Something that holds for the whole run, known before the first value is logged."""
        self.config[name] = value
        self.log("constants", {name: value}, 0)

    def log(self, series: str, values: Mapping[str, float], step: int) -> None:
        """`SERIES/NAME` at `step`; each series counts its own steps, upwards."""
        if self.accelerator is None:
            return
        with self._harmless():
            if not self.logged:
                self._start(self.accelerator)
            if step > self.logged["steps"].get(series, -1):
                self._log(self.accelerator, series, values, step)
                self.logged["steps"][series] = step
                self._keep()

    def _start(self, accelerator: Accelerator) -> None:
        folder = Path(accelerator.project_dir)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "logged.json"
        is_new = not file.exists()
        new = {"name": f"{folder.absolute().parent.name}-{uuid4().hex[:6]}", "steps": {}}
        logged = new if is_new else json.loads(file.read_text(encoding="utf-8"))
        place = {"name": logged["name"], "resume": "allow"}
        options = {"trackio": place, "wandb": place | {"id": logged["name"], "dir": str(folder)}}
        config = {name: plain(value) for name, value in self.config.items()}
        # Trackio keeps what the last process said; TensorBoard would show each as one more run.
        told = is_new or "tensorboard" not in map(str, accelerator.log_with)
        accelerator.init_trackers(PROJECT, config if told else None, options)
        self.logged = logged

    def _log(self, accelerator: Accelerator, series: str, values: Mapping[str, float], step: int) -> None:
        named = {f"{series}/{name}": float(value) for name, value in values.items()}
        if [tracker.name for tracker in accelerator.trackers] != ["wandb"]:
            accelerator.log(named, step=step)
            return
        # W&B has one count of steps, which never goes back; a series with its own names it.
        if series not in self.logged["steps"]:
            accelerator.get_tracker("wandb").tracker.define_metric(f"{series}/*", step_metric=f"{series}/step")
        accelerator.log(named | {f"{series}/step": step})

    def _keep(self) -> None:
        """After every step: whole, as another process reads it, but not waiting for the disk."""
        file = Path(self.accelerator.project_dir) / "logged.json" if self.accelerator else Path()
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.logged), encoding="utf-8")
        temporary.replace(file)

    def end(self) -> None:
        """Nothing is logged afterwards."""
        if self.accelerator is not None:
            with self._harmless():
                for tracker in self.accelerator.trackers:
                    tracker.finish()
            self._forget()

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            warnings.warn(f"--report-to: the tracker has failed ({reason}); the run goes on without it.", stacklevel=3)
            self._forget()

    def _forget(self) -> None:
        """Accelerate ends the trackers that it knows once more at the end of a process."""
        if self.accelerator is not None:
            self.accelerator.trackers.clear()
        self.accelerator = None


def plain(value: Any) -> str | int | float | bool | None:  # noqa: ANN401 (any setting)
    """As trackers take it."""
    if isinstance(value, float):
        return float(value)
    return value if isinstance(value, str | int | bool | None) else ", ".join(map(str, value))
