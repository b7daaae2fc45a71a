"""The folder of a run: its settings and results, protected from being mixed with another run's."""

import fcntl
import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

import torch

from autobert_hf.modeling.machine import machine_name
from autobert_hf.records.files import disk_errors
from autobert_hf.records.json_files import read_record, write_record


# What a folder holds before any training.
PREPARED = {"run.json", "local.json", "text", "trackers"}
LIBRARIES = ("autobert-hf", "torch", "transformers", "accelerate", "datasets", "tokenizers")


class RunError(ValueError):
    """The folder does not hold the run asked for, or cannot be used for this one."""


class RunFolder:
    """
    `run.json`: resolved settings, seeds, versions, machine, and inputs by role and name with their sha256; it may be
    published. `local.json`: paths and command line of this machine; it is never published. `journal.jsonl`,
    `supernet/`, `final/`, `model/` and `report/` are written by other modules.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock: TextIO | None = None

    def open(
        self,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Any],
        local: Mapping[str, Any] | None = None,
        code: Mapping[str, str] | None = None,
    ) -> None:
        """
        Starts the run or resumes it. `inputs` are known by their content: in each role, names may differ between two
        calls where there are digests. `code` identifies functions and classes of the user's by name; `local` may
        differ between two calls. A run that ended before any training, e.g. because its text was unsuitable, is
        replaced.

        Raises:
            RunError: if the folder holds another run (the message names the differences) or other files, or is in use.
        """
        run = {"settings": dict(settings), "inputs": dict(inputs), "code": dict(code or {})}
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file: choose another --output-dir.")
        held = {path.name for path in self.path.glob("[!.]*")}  # names with a dot: the lock, unfinished files
        if held and "run.json" not in held:
            raise RunError(f"{self.path} is not empty and holds no run: choose another --output-dir.")
        changed = self._changed(run) if held else []
        if changed and held - PREPARED:
            raise RunError(
                f"{self.path} holds another run ({'; '.join(changed)}). Repeat its settings to go on with it, or "
                "choose another --output-dir."
            )
        self._lock()
        for left in list(self.path.rglob(".*.tmp")):  # unfinished files of a killed process
            shutil.rmtree(left, ignore_errors=True)
        if changed or not held:
            for name in ("text", "trackers"):
                shutil.rmtree(self.path / name, ignore_errors=True)
            versions = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
            machine = {"processor": machine_name(), "threads": torch.get_num_threads()}
            write_record(self.path / "run.json", run | {"versions": versions, "machine": machine})
        here = {"command": sys.argv, "threads": torch.get_num_threads()}
        write_record(self.path / "local.json", here | dict(local or {}))

    def _changed(self, run: Mapping[str, Any]) -> list[str]:
        before = self.read("run.json")
        inputs = changed_inputs(before.get("inputs", {}), run["inputs"])
        return inputs + [
            f"{name}: {old[name]!r} then, {new[name]!r} now" if name in old and name in new else name
            for part in ("settings", "code")
            for old, new in [(before.get(part, {}), json.loads(json.dumps(run[part])))]
            for name in sorted({**old, **new})
            if old.get(name) != new.get(name)
        ]

    def _lock(self) -> None:
        """Allows only one writer, as two would corrupt the journal. The lock ends with the process."""
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
        """Releases the lock on the folder, which also ends with the process."""
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def identity(self) -> str:
        """
        A digest of what makes this run another than others: its settings without budgets, its inputs and the user's
        code. Empty where there is no run, as beside a table of measurements.
        """
        if not (self.path / "run.json").exists():
            return ""
        run = self.read("run.json")
        own = {name: run.get(name, {}) for name in ("settings", "inputs", "code")}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]

    def read(self, name: str) -> dict[str, Any]:
        """
        One of the folder's JSON files.

        Raises:
            RunError: if there is none.
            DamagedFileError: if it is not as it was written.
        """
        if not (self.path / name).exists():
            raise RunError(f"{self.path} holds no {name}: is it the --output-dir of a run?")
        return read_record(self.path / name)


def changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each role whose inputs have other contents, or other names where there are no digests."""
    found = []
    for role in sorted({**before, **now}):
        old, new = before.get(role, {}), now.get(role, {})
        if sorted(map(_identity, old.items())) != sorted(map(_identity, new.items())):
            gone = [_shown(item) for item in old.items() if _identity(item) not in map(_identity, new.items())]
            come = [_shown(item) for item in new.items() if _identity(item) not in map(_identity, old.items())]
            found.append(f"{role}: {', '.join(gone) or 'nothing'} then, {', '.join(come) or 'nothing'} now")
    return found


def _identity(item: tuple[str, str]) -> str:
    name, sha256 = item
    return sha256 or name


def _shown(item: tuple[str, str]) -> str:
    name, sha256 = item
    return f"{name} ({sha256[:8]})" if sha256 else name


def read_report(path: Path) -> dict[str, Any]:
    """As `read_record`; empty where there is no such file."""
    return read_record(path) if path.exists() else {}
