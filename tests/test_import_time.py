"""Importing the plugin adds little to importing transformers; benchmarks/import_time.py measures the seconds."""

import subprocess
import sys


# Our heads need GenerationMixin, which transformers loads on demand, and tokenizers with it.
EXPECTED = {"autobert_hf", "transformers", "tokenizers"}


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after `statement`."""
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_no_further_library() -> None:
    baseline = modules_after("from transformers import AutoModel, PreTrainedModel")
    added = modules_after("import autobert_hf") - baseline
    assert "autobert_hf" in added
    foreign = {name for name in added if name.partition(".")[0] not in EXPECTED | sys.stdlib_module_names}
    assert not foreign, f"`import autobert_hf` also loads {sorted(foreign)}: import them where they are used"
