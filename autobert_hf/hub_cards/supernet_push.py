"""Pushes the folder of a supernet to the Hub: the checks, retries and single commit of a model's push."""

import json
from pathlib import Path

from huggingface_hub.utils import validate_repo_id

from autobert_hf.hub_cards.checks import PushError, refuse_bad_metadata, refuse_secrets
from autobert_hf.hub_cards.load_back import refuse_unequal
from autobert_hf.hub_cards.push import Upload, card_text, visible_files
from autobert_hf.modeling.supernet_card import REPOSITORY


MESSAGE = "A supernet, with its card"


def is_supernet(folder: Path) -> bool:
    """Whether a folder holds the checkpoint of a supernet; damaged ones and all others are none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("supernet") is not None


def supernets_of(run: Path) -> list[Path]:
    """The supernets that a search has left in the folder of its run."""
    return [folder for folder in sorted((run / "supernet").glob("model*")) if is_supernet(folder)]


def prepare_supernet(folder: Path, repo_id: str, message: str = MESSAGE) -> Upload:
    """
    The upload of a supernet's folder, as `save_pretrained` has written it. Makes all checks of a push and sends
    nothing.

    Raises:
        PushError: if a file holds an absolute path or a token, if the card is missing or its metadata does not
            validate, if the largest network does not load back with equal outputs.
        ValueError: if `repo_id` is not a valid repository id.
    """
    validate_repo_id(repo_id)
    if not (folder / "README.md").exists():
        raise PushError(f"{folder} has no README.md: save the supernet again, which writes its card.")
    text = card_text(folder / "README.md").replace(REPOSITORY, repo_id)
    refuse_bad_metadata(text)
    files = visible_files(folder) | {"README.md": text.encode()}
    for name, content in files.items():
        refuse_secrets(name, content)
    refuse_unequal(folder)
    return Upload(repo_id, "model", files, message)
