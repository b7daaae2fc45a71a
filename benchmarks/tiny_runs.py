"""A search by autotinybert, opened again: what several benchmarks begin with."""

from pathlib import Path

from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.autotinybert import AutoTinyBert
from autobert_hf.searchers.methods.method import reopen


def opened(run: Path) -> AutoTinyBert:
    search = reopen(run, METHODS)
    if not isinstance(search, AutoTinyBert):
        raise SystemExit(f"{run} is no search by autotinybert: give one.")
    return search
