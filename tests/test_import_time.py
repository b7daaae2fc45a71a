"""Importing the plugin adds little to importing transformers; benchmarks/import_time.py measures the seconds."""

import subprocess
import sys


def modules_after(names: list[str]) -> list[str]:
    """What a fresh interpreter holds after importing `names`, in the order in which the imports began."""
    code = f"import importlib, sys; [importlib.import_module(name) for name in {names}]; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout.split()


def test_import_loads_no_further_library() -> None:
    """What the parts of transformers that we use load themselves, in this release of it, is not held against us."""
    loaded = modules_after(["autobert_hf"])
    used = [name for name in loaded if name.partition(".")[0] == "transformers"]
    added = set(loaded) - set(modules_after(used))
    assert "autobert_hf" in added
    foreign = {name for name in added if name.partition(".")[0] not in {"autobert_hf"} | sys.stdlib_module_names}
    assert not foreign, f"`import autobert_hf` also loads {sorted(foreign)}: import them where they are used"
