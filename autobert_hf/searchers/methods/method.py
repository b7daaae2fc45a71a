"""What a published system has to be able to do, and how a finished run of one is opened again."""

from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

from transformers import PreTrainedModel

from autobert_hf.lab.training.trainer import default_precision
from autobert_hf.records.run_folder import RunError, RunFolder
from autobert_hf.records.trial import Trial
from autobert_hf.searchers.run import Job
from autobert_hf.searchers.settings.search_settings import SearchSettings
from autobert_hf.searchers.spaces.space import Space


class Method(Protocol):
    """One run of a published system; `Settings` is what the command line may tell it."""

    Settings: ClassVar[type[SearchSettings]]
    job: Job

    @property
    def space(self) -> Space: ...

    def __init__(self, job: Job, settings: Any) -> None: ...  # noqa: ANN401 (its own Settings)

    def run(self) -> Trial:
        """Searches to the end of the budget and returns the winner."""
        ...

    def further(self) -> dict[str, Trial]:
        """More candidates that become models of the run, by the folder's name; after `run`."""
        ...

    def inherited(self, trial: Trial) -> PreTrainedModel:
        """A candidate with the weights it was judged by. Raises FileNotFoundError where they were not kept."""
        ...

    def trained(self, trial: Trial, record: str) -> PreTrainedModel:
        """A candidate after its final training, whose curves go to `report/<record>.json`."""
        ...


def reopen(run: Path, kinds: dict[str, type[Method]]) -> Method:
    """
    The search in `run` as it stands. Reads only, beyond what its methods write.

    Raises:
        RunError: if there is no run, or one with settings that this version does not know.
    """
    folder = RunFolder(run)
    settings = folder.read("run.json")["settings"]
    kind = kinds.get(settings["method"])
    if kind is None or set(settings) - {field.name for field in fields(kind.Settings)}:
        raise RunError(f"{run} was made by another version of autobert-hf: use that one.")
    if not (run / "text" / "rows.safetensors").exists():
        raise RunError(f"{run} has no text yet: let its search go on first (`autobert status {run}`).")
    if settings["mixed_precision"] == "auto":
        settings["mixed_precision"] = default_precision(use_cpu=False)
    chosen = kind.Settings(output_dir=str(run), **settings)
    return kind(Job(chosen, folder, chosen.source()), chosen)
