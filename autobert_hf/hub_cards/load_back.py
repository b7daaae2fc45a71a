"""Checks that a model folder loads without this package, with the same outputs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from autobert_hf.hub_cards.architecture import loading_options
from autobert_hf.hub_cards.checks import PushError
from autobert_hf.modeling import modeling_autobert
from autobert_hf.records.json_files import read_json
from autobert_hf.records.model_folder import loading


TOLERANCE = 1e-5
Tensors = dict[str, torch.Tensor]


def refuse_unequal(folder: Path) -> None:
    """
    Raises PushError unless the folder loads here, loads in a fresh process in which this package is not installed
    (running the modelling files of the folder, like every user without it), and both compute equal, finite outputs.
    They use different random seeds, so that weights missing from the file give different outputs.
    """
    with loading(folder):
        config = read_json(folder / "config.json")
        head = str((config.get("architectures") or [""])[0])
        batch = probe(config, head)
    here = outputs(folder, config, head, batch)
    elsewhere = outputs_without_package(folder, head, batch)
    for name, value in here.items():
        if not value.isfinite().all():
            raise PushError(f"The model in {folder} computes values that are not finite ({name}): train it again.")
        if name not in elsewhere or (value - elsewhere[name]).abs().max() > TOLERANCE:
            raise PushError(
                f"The model in {folder} does not load back with equal outputs ({name} differs): its files were "
                "changed, or come from different saves. Save it again."
            )


def probe(config: Mapping[str, Any], head: str) -> Tensors:
    """Two rows of token ids, (2, length), one of them padded; (1, 2, length) for multiple choice."""
    length = min(16, config["max_position_embeddings"])
    ids = torch.randint(config["vocab_size"], (2, length), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, length // 2 :] = 0
    rows = {"input_ids": ids, "attention_mask": mask}
    return {name: row[None] for name, row in rows.items()} if head.endswith("ForMultipleChoice") else rows


def outputs(folder: Path, config: Mapping[str, Any], head: str, batch: Tensors) -> Tensors:
    kind = getattr(transformers if config.get("model_type") == "bert" else modeling_autobert, head, None)
    if not (isinstance(kind, type) and issubclass(kind, PreTrainedModel)):
        raise PushError(f"{folder / 'config.json'} names {head!r} as its class, which is not known here.")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        try:
            found = kind.from_pretrained(folder, dtype=torch.float32, **loading_options(folder)).eval()(**batch)
        except Exception as error:  # a damaged file may raise anything
            raise PushError(f"The model in {folder} does not load: {' '.join(str(error).split())}") from error
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def outputs_without_package(folder: Path, head: str, batch: Tensors) -> Tensors:
    """The outputs of the model loaded in a process without this package, as the card describes it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        save_file(batch, place / "batch.safetensors")
        auto = "AutoModel" + head.removeprefix("Auto").removeprefix("Bert").removeprefix("Model")
        options, script = json.dumps(loading_options(folder)), Path(__file__).with_name("load_without_package.py")
        done = subprocess.run(
            [sys.executable, "-P", str(script), str(folder.resolve()), name, auto, options],
            capture_output=True,
            stdin=subprocess.DEVNULL,  # never prompt
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": name, "TRANSFORMERS_VERBOSITY": "error"},
            cwd=place,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise PushError(f"The model in {folder} does not load in a process without this package: {reason}")
        return load_file(place / "outputs.safetensors")
