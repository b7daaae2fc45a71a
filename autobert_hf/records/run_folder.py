"""The folder of a run: what was asked for, what came out, and nothing of two runs in one place."""

import fcntl
import json
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch

from autobert_hf.records.files import disk_errors, write_text
from autobert_hf.records.machine import machine_name


# What stands in a folder before anything is learned there.
PREPARED = {"run.json", "local.json", "text", "trackers"}
LIBRARIES = ("autobert-hf", "torch", "transformers", "accelerate", "datasets", "tokenizers")


class RunError(ValueError):
    """The folder cannot take this run."""


class RunFolder:
    """
    `run.json`: resolved settings, seeds, versions, machine and inputs by name and sha256, fit to be published.
    `local.json`: paths and command line of this machine, never published. `journal.jsonl`, `supernet/`, `final/`,
    `model/`, `report/` are written by those who fill them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock: TextIO | None = None

    def open(
        self, settings: Mapping[str, Any], inputs: Mapping[str, str], local: Mapping[str, Any] | None = None
    ) -> None:
        """
        Starts the run or continues it; `local` may differ between two calls. A run that ended before it learned
        anything (the text was unfit, say) has left nothing that another one could spoil, so it gives way.

        Raises:
            RunError: if the folder holds something else, naming what differs, or is in use.
        """
        run = {"settings": dict(settings), "inputs": dict(inputs)}
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: choose another --output-dir.")
        held = {path.name for path in self.path.glob("[!.]*")}  # what begins with a dot is the lock and half files
        if held and "run.json" not in held:
            raise RunError(f"{self.path} is not empty and holds no run: choose another --output-dir.")
        changed = self._changed(run) if held else []
        if changed and held - PREPARED:
            raise RunError(
                f"{self.path} holds another run ({'; '.join(changed)}). Repeat its settings to go on with it, or "
                "choose another --output-dir."
            )
        self._lock()
        for left in list(self.path.rglob(".*.tmp")):  # what a killed process was writing
            shutil.rmtree(left, ignore_errors=True)
        if changed or not held:
            for name in ("text", "trackers"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            versions = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
            machine = {"processor": machine_name(), "threads": torch.get_num_threads()}
            write_json(self.path / "run.json", run | {"versions": versions, "machine": machine})
        here = {"command": sys.argv, "threads": torch.get_num_threads()}
        write_json(self.path / "local.json", here | dict(local or {}))

    def _changed(self, run: Mapping[str, Any]) -> list[str]:
        before = self.read("run.json")
        return [
            f"{name}: {old[name]!r} then, {new[name]!r} now" if name in old and name in new else name
            for part in ("settings", "inputs")
            for old, new in [(before.get(part, {}), json.loads(json.dumps(run[part])))]
            for name in sorted({**old, **new})
            if old.get(name) != new.get(name)
        ]

    def _lock(self) -> None:
        """One writer: trials of two processes in one journal would spoil it. The lock ends with the process."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"{self.path} is in use by another process: wait for it or end it, or choose another --output-dir."
            ) from error

    def release(self) -> None:
        """Others may have the folder; the end of the process does this too."""
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def read(self, name: str) -> dict[str, Any]:
        """One of the folder's JSON files."""
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RunError(f"{self.path} holds no {name}: is it the --output-dir of a run?") from error
        except json.JSONDecodeError as error:
            raise RunError(f"{path} is not JSON ({error.msg}): restore it or start again elsewhere.") from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(data, indent=2, sort_keys=True) + "\n")


def read_report(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
