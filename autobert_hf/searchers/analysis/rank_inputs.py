"""What a rank check needs from a run: parts of its method, its weights, and their training cost."""

from collections.abc import Sequence
from pathlib import Path

from autobert_hf.lab.data.inputs import Inputs
from autobert_hf.lab.data.text import sha256_of
from autobert_hf.records.run_folder import RunError, RunFolder
from autobert_hf.records.study import journal_file
from autobert_hf.records.tensor_files import read_tensors
from autobert_hf.records.trainings import read_trainings, weights_file
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.methods.method import Method


NEEDED = {
    "evaluator": "evaluator: `analyze ranking` asks how well its scores rank",
    "supernets": "supernet: `analyze ranking` compares inherited scores",
    "loss": "loss: `analyze ranking` compares with networks that are trained alone",
    "text": "text: `analyze ranking` compares with networks that are trained alone",
    "base": "configuration around its architectures: `analyze ranking` compares with networks that are trained alone",
}


def check_begun(run: Path) -> None:
    """
    Checks that a run has begun; called before opening it, as opening would start a new run.

    Raises:
        RunError: if there is no run, or it has neither weights nor trials.
    """
    RunFolder(run).read("run.json")  # raises a clear error if there is no run
    if not supernet_files(run) and not journal_file(run).exists():
        raise RunError(f"{run} holds no trained supernet: let its search go on first (`autobert status {run}`).")


def check_inputs(method: Method) -> Inputs:
    """
    The files that a check of this run depends on.

    Raises:
        RunError: if the run's method lacks a part that the check needs, or has no weights yet.
    """
    path = method.run.path
    for name, what in NEEDED.items():
        if not getattr(method, name):
            raise RunError(f"The method of {path} has no {what}.")
    weights = supernet_files(path)
    if not weights:
        raise RunError(f"{path} holds no trained supernet: let its search go on first (`autobert status {path}`).")
    return {"run": {file.name: sha256_of(file) for file in (path / "run.json", *weights)}}


def supernet_files(run: Path) -> list[Path]:
    """Files of the weights that candidates inherit, without checkpoints of an unfinished training."""
    folders = {weights_file(run, training.name).parent for training in read_trainings(run) if not training.is_final}
    files = [path for folder in sorted(folders) for path in sorted(folder.glob("*.safetensors"))]
    return [path for path in files if not path.name.startswith("training-")]


def shared_tokens(run: Path, trials: Sequence[Trial]) -> dict[str, int]:
    """
    Training tokens of the shared weights: `warm_up` before the search; `once` in total, with all candidates, since the
    weights are those at the end of the search; `seen_by_weights` along the weights' own history.
    """
    seen = max(int(read_tensors(path)[1].get("tokens", 0)) for path in supernet_files(run))
    before = min((int(trial.cost.get("inherited_tokens", seen)) for trial in trials), default=seen)
    once = before + sum(int(trial.cost.get("tokens", 0)) for trial in trials)
    return {"once": once, "warm_up": before, "seen_by_weights": seen}
