"""Pushes a finished run to the Hub: checks first, then one commit per repository."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import validate_repo_id

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.card import write_card
from autobert_hf.hub_cards.checks import PushError, refuse_bad_metadata, refuse_secrets
from autobert_hf.hub_cards.facts import REPO_ID
from autobert_hf.hub_cards.load_back import refuse_unequal
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.hub_cards.trials import dataset_files
from autobert_hf.modeling.untrained import WARNING


T = TypeVar("T")
TRIES = 5
PATIENCE = 60  # seconds to wait if the Hub limits requests without a Retry-After

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upload:
    """The files of one repository, by their names in it."""

    repo_id: str
    repo_type: str
    files: dict[str, Path | bytes]
    message: str = "Model found by autobert-hf, with its card"

    def sizes(self) -> dict[str, int]:
        return {
            name: content.stat().st_size if isinstance(content, Path) else len(content)
            for name, content in self.files.items()
        }


def card_text(card: Path) -> str:
    try:
        return card.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PushError(f"{card} is not UTF-8 text: delete it, and `autobert report` writes it again.") from error


def prepare(run: Path, repo_id: str, with_trials: bool = False) -> list[Upload]:
    """
    The uploads of a push: the model folder of `run` and, with `with_trials`, a data set `<repo_id>-trials`. Makes all
    checks of a push and sends nothing.

    Raises:
        PushError: if a file holds an absolute path or a token, if the card's metadata does not validate, if the model
            does not load back with equal outputs.
        RunError, StudyError, JournalError: if the folder holds no finished run.
        ValueError: if `repo_id` is not a valid repository id.
    """
    validate_repo_id(repo_id)
    records, model = RunRecords.read(run), run / "model"
    if not (model / "config.json").exists():
        raise PushError(f"{run} holds no model yet: let the search go on.")
    if not (model / "README.md").exists():
        write_card(run)
    trials_id = f"{repo_id}-trials"
    text = card_text(model / "README.md").replace(REPO_ID, repo_id)
    if with_trials:
        text += f"\nThe search log, one trial per row: [{trials_id}](https://huggingface.co/datasets/{trials_id}).\n"
    refuse_bad_metadata(text)
    network = Network(model)
    if network.is_untrained:
        logger.warning(WARNING.format(model))
    uploads = [Upload(repo_id, "model", with_code_at_the_root(visible_files(model)) | {"README.md": text.encode()})]
    if with_trials:
        files = dataset_files(records, network.config, trials_id, repo_id)
        uploads.append(Upload(trials_id, "dataset", dict(files), "Search log"))
        refuse_secrets("journal.jsonl", run / "journal.jsonl")  # compressed in parquet, it could not be checked
    for upload in uploads:
        for name, content in upload.files.items():
            refuse_secrets(name, content)
    refuse_unequal(model)
    return uploads


def visible_files(folder: Path) -> dict[str, Path | bytes]:
    """All files by name, except those with a leading dot, which are not part of a model."""
    names = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}


def with_code_at_the_root(files: dict[str, Path | bytes]) -> dict[str, Path | bytes]:
    """
    Adds the modelling files of networks in subfolders at the root, where transformers looks for them: it does not hand
    `subfolder` on to its loader of remote code.
    """
    folders = {PurePosixPath(name).parent for name in files if PurePosixPath(name).name == "config.json"}
    names = {PurePosixPath(name): name for name in files if name.endswith(".py")}
    return {path.name: files[name] for path, name in names.items() if path.parent in folders} | files


def push(
    run: Path, repo_id: str, private: bool = False, revision: str | None = None, with_trials: bool = False
) -> list[str]:
    """
    Checks as `prepare` does, then creates missing repositories and sends each one's files as one commit, to branch
    `revision` if given. A repeated call resumes an interrupted push; files that are already there are not sent again.
    huggingface_hub provides the token (`hf auth login`, `HF_TOKEN`). Returns the URLs of the commits.

    Raises:
        PushError: as `prepare`, and if the Hub refuses a request.
    """
    return [send(upload, private, revision) for upload in prepare(run, repo_id, with_trials)]


def send(upload: Upload, private: bool, revision: str | None, token: str | None = None) -> str:
    """Creates one repository and commits its files; returns the URL of the commit. `token`: by default the user's."""
    api, what = HfApi(token=token), dict[str, Any](repo_id=upload.repo_id, repo_type=upload.repo_type)
    patiently(upload, lambda: api.create_repo(**what, private=private or None, exist_ok=True))
    if private and not patiently(upload, lambda: api.repo_info(**what)).private:
        raise PushError(
            f"{upload.repo_id} already exists and is public: make it private first, or leave --private out."
        )
    if revision:
        patiently(upload, lambda: api.create_branch(**what, branch=revision, exist_ok=True))
    # Not upload_folder: with hf-xet it may make several commits, and a reader could meet half of a model.
    operations = [CommitOperationAdd(name, content) for name, content in upload.files.items()]
    commit = patiently(
        upload,
        lambda: api.create_commit(**what, operations=operations, commit_message=upload.message, revision=revision),
    )
    return commit.commit_url


def patiently(upload: Upload, call: Callable[[], T]) -> T:
    """Calls the Hub, and retries after the time that it asks to wait; its errors become one-sentence PushErrors."""
    for attempt in range(1, TRIES + 1):
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code != 429 or attempt == TRIES:
                raise PushError(refusal(upload, error)) from error
            asked = error.response.headers.get("Retry-After", "")
            seconds = int(asked) if asked.isdecimal() else PATIENCE
            logger.warning("The Hub asks to wait %d s; attempt %d of %d follows.", seconds, attempt + 1, TRIES)
            time.sleep(seconds)
        except (HTTPError, RuntimeError) as error:  # RuntimeError: raised by upload threads
            reason = f"the connection to the Hub broke ({' '.join(str(error).split())})"
            raise PushError(stopped(upload, reason)) from error
        except ValueError as error:
            raise PushError(f"{upload.repo_id}: {' '.join(str(error).split())}") from error
    raise AssertionError("the last attempt returns or raises")


def refusal(upload: Upload, error: HfHubHTTPError) -> str:
    """A message with the reason and a remedy, but nothing of the request, which holds the token."""
    status = error.response.status_code
    logged_in = "does not accept your token" if get_token() else "does not know you: you are not logged in"
    by_status = {
        401: f"the Hub {logged_in}",
        403: f"your token may not write to {upload.repo_id}",
        404: f"{upload.repo_id} does not exist, or your token may not read it",
    }
    if status in by_status:
        way_out = "Log in with `hf auth login`, or set HF_TOKEN to a token that may write"
        return (
            f"Nothing was sent to {upload.repo_id}: {by_status[status]}. {way_out}, then run the same command again."
        )
    if status == 429:
        return stopped(upload, "the Hub takes no more requests from you for now")
    return stopped(upload, " ".join((error.server_message or f"the Hub answered {status}").split()))


def stopped(upload: Upload, reason: str) -> str:
    return f"The push to {upload.repo_id} stopped: {reason}. Run the same command again to finish it."
