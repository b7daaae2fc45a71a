"""The folder of a run: what was asked for, what came out, and nothing of two runs in one place."""

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from autobert_hf.lab.files import write_text


LIBRARIES = ("autobert-hf", "torch", "transformers", "accelerate", "datasets", "tokenizers")


class RunError(ValueError):
    """The folder cannot take this run."""


class RunFolder:
    """
    `run.json`: resolved settings, seeds, versions and inputs by name and sha256, fit to be published. `local.json`:
    paths and command line of this machine, never published. `journal.jsonl`, `supernet/`, `final/`, `model/`,
    `report/` are written by those who fill them.
    """

    def __init__(self, path: Path):
        self.path = path

    def open(self, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """
        Starts the run or continues it.

        Raises:
            RunError: if the folder holds something else, naming what differs.
        """
        run = {"settings": dict(settings), "inputs": dict(inputs)}
        if (self.path / "run.json").exists():
            self._refuse_other_run(run)
        elif self.path.exists() and any(self.path.iterdir()):
            raise RunError(f"{self.path} is not empty and holds no run: choose another --output-dir.")
        else:
            versions = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
            write_json(self.path / "run.json", run | {"versions": versions})
        write_json(self.path / "local.json", {"command": sys.argv, "threads": torch.get_num_threads()})

    def _refuse_other_run(self, run: Mapping[str, Any]) -> None:
        before = self.read("run.json")
        changed = [
            f"{name}: {old[name]!r} then, {new[name]!r} now" if name in old and name in new else name
            for part in ("settings", "inputs")
            for old, new in [(before[part], json.loads(json.dumps(run[part])))]
            for name in sorted({**old, **new})
            if old.get(name) != new.get(name)
        ]
        if changed:
            raise RunError(
                f"{self.path} holds another run ({'; '.join(changed)}). Repeat its settings to go on with it, or "
                "choose another --output-dir."
            )

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
