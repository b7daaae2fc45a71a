"""
Transformers' own model tests, from the source distribution of the installed version. None of it is kept in this
repository: pip fetches it once into the user's cache folder, and without it the tests are skipped with the reason.
"""

import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import transformers
from filelock import FileLock
from transformers.models.auto import modeling_auto


CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autobert_hf"
PACKAGE = "transformers_own_tests"
FILES = ("test_modeling_common", "test_configuration_common", "test_training_mixin")

# Upstream's tests choose labels and input shapes by the names of classes. The detector is labelled as BERT's token
# classifier is, one label for each token.
CLASS_NAMES = {
    "MODEL": "AutoBertModel",
    "MODEL_FOR_PRETRAINING": "AutoBertForPreTraining",
    "MODEL_FOR_MASKED_LM": "AutoBertForMaskedLM",
    "MODEL_FOR_CAUSAL_LM": "AutoBertForCausalLM",
    "MODEL_FOR_NEXT_SENTENCE_PREDICTION": "AutoBertForNextSentencePrediction",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION": "AutoBertForSequenceClassification",
    "MODEL_FOR_TOKEN_CLASSIFICATION": ("AutoBertForTokenClassification", "AutoBertForReplacedTokenDetection"),
    "MODEL_FOR_QUESTION_ANSWERING": "AutoBertForQuestionAnswering",
    "MODEL_FOR_MULTIPLE_CHOICE": "AutoBertForMultipleChoice",
}

# What the suite imports from folders that the source distribution leaves out. Generation and export have tests of
# our own; the configuration's common arguments are a value, not the default, for each of a base configuration.
COMMON_ARGUMENTS = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 5,
    "is_encoder_decoder": True,
    "architectures": ["AutoBertModel"],
    "id2label": {0: "label"},
    "label2id": {"label": 0},
    "problem_type": "regression",
}


class ExportTesterMixin:
    pass


class GenerationTesterMixin:
    """Upstream demands it of every class that can generate."""


LEFT_OUT = {
    "exporters.test_export": {"ExportTesterMixin": ExportTesterMixin},
    "generation.test_utils": {"GenerationTesterMixin": GenerationTesterMixin},
    "utils.test_configuration_utils": {"config_common_kwargs": COMMON_ARGUMENTS},
}


def load() -> dict[str, ModuleType]:
    """The modules of FILES by name; skips the importing test file where the source cannot be had."""
    if PACKAGE not in sys.modules:
        source = _source()
        if isinstance(source, str):
            pytest.skip(source, allow_module_level=True)
        spec = importlib.util.spec_from_file_location(PACKAGE, source / "__init__.py")
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
        for name, members in LEFT_OUT.items():
            module = sys.modules[f"{PACKAGE}.{name}"] = ModuleType(name)
            vars(module).update(members)
        for mapping, names in CLASS_NAMES.items():
            getattr(modeling_auto, f"{mapping}_MAPPING_NAMES")["autobert"] = names
    return {name: importlib.import_module(f"{PACKAGE}.{name}") for name in FILES}


@cache
def _source() -> Path | str:
    """The folder that holds FILES, or the reason why there is none."""
    folder = CACHE / f"transformers-{transformers.__version__}-tests"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):  # the workers of one test run all come here at once
        return folder if folder.exists() else _fetch(folder)


def _fetch(folder: Path) -> Path | str:
    version = transformers.__version__
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        # --no-binary for this one package: the tools that pip needs to read its metadata may come as wheels.
        options = ["--quiet", "--no-deps", "--no-binary=transformers", "--timeout=20", "--retries=1"]
        command = [sys.executable, "-m", "pip", "download", *options, f"--dest={scratch}", f"transformers=={version}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"no source distribution of transformers {version}: {done.stderr.strip().splitlines()[-1:]}"
        unpacked = Path(scratch, "unpacked")
        unpacked.mkdir()
        with tarfile.open(next(Path(scratch).glob("*.tar.gz"))) as archive:
            for name in FILES:
                member = archive.extractfile(f"transformers-{version}/tests/{name}.py")
                (unpacked / f"{name}.py").write_bytes(member.read())
        (unpacked / "__init__.py").touch()
        return unpacked.rename(folder)  # whole or not at all
