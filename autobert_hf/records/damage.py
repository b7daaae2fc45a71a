"""What to do about a file of a run that is not as it was written."""

from fnmatch import fnmatch
from pathlib import Path


RESTORE = "Restore it from a copy, or start again in a new --output-dir."
SEARCH_AGAIN = "Restore it from a copy, or delete {} and journal.jsonl: the same command then searches again."
# By the end of the path; the first that fits.
WAYS_OUT = {
    "run.json": RESTORE,
    "journal*.jsonl": RESTORE,
    "finalists*.jsonl": "Restore it from a copy, or delete it: the same command then scores the finalists again.",
    "latency/samples.jsonl": "Restore it from a copy, or delete it: the networks are then measured again.",
    "local.json": "Delete it: the command of the search writes it again.",
    "config.json": "Delete its folder: the command that made the model makes it again.",
    "text/tokenizer": "Delete the folder text: the same command prepares the text again.",
    "report/depths.json": SEARCH_AGAIN.format("it, the folder supernet"),
    "report/predictor.*": "Delete report/predictor.*: the command of the search fits it again to what was measured.",
    "report/*.json": "Delete it: the command that wrote it (search, select --train or measure --run) does so again.",
    "text/text.json": "Delete the folder text: the same command prepares the text again.",
    "text/rows/*.arrow": "Delete the folder text: the same command prepares the text again.",
    "*/training-*.safetensors": "Delete it: the same command begins its training again.",
    "supernet/round-*.safetensors": SEARCH_AGAIN.format("the folder supernet"),
    "supernet/child-*.safetensors": SEARCH_AGAIN.format("the folder supernet"),
    "*/*.safetensors": "Delete it: the same command trains it again.",
}


class DamagedFileError(ValueError):
    """A file of a run is not as it was written; the message says what is wrong and what to do."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path} {what}. {way_out(path)}")


def way_out(path: Path) -> str:
    """What to do about a damaged file: restore it, or delete it and have it made again."""
    parts = path.absolute().parts
    fitting = (way for end, way in WAYS_OUT.items() if fnmatch("/".join(parts[-1 - end.count("/") :]), end))
    return next(fitting, RESTORE)
