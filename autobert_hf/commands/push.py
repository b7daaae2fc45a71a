"""
`autobert push RUN_DIR --repo-id me/name`: pushes a finished run to the Hub, as one commit per repository. With
RUN_DIR/supernet/model (or the folder of any other supernet) it pushes that supernet.
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from autobert_hf.hub_cards.checks import PushError
from autobert_hf.hub_cards.push import Upload, prepare, send
from autobert_hf.hub_cards.supernet_push import is_supernet, prepare_supernet, supernets_of
from autobert_hf.records.run_folder import RunFolder


def push_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert push", description=__doc__, allow_abbrev=False)
    parser.add_argument("run", type=Path, help="The --output-dir of a finished search, or the folder of a supernet.")
    parser.add_argument(
        "--repo-id", required=True, help="Repository on the Hub, e.g. me/name; created if it does not exist."
    )
    parser.add_argument("--private", action="store_true", help="Only you, or your organization, can read it.")
    parser.add_argument("--revision", help="Branch to push to; created if it does not exist.")
    parser.add_argument("--with-trials", action="store_true", help="Also the search log, as data set NAME-trials.")
    parser.add_argument(
        "--dry-run", action="store_true", help="Check everything and list what would be sent, but send nothing."
    )
    given = parser.parse_args(arguments)
    uploads = uploads_of(given.run, given.repo_id, given.with_trials)
    if given.dry_run:
        print("\n".join(line for upload in uploads for line in plan(upload, given.private, given.revision)))
        print("Checked: metadata, paths, tokens, and that the model loads back with equal outputs. Nothing sent.")
        return 0
    for upload in uploads:
        print(send(upload, given.private, given.revision))
    for folder in supernets_of(given.run):
        name = given.repo_id + folder.name.replace("model", "-supernet", 1)
        command = shlex.join(["autobert", "push", str(folder), "--repo-id", name])
        print(f"Not sent: a supernet, from which every size can be loaded. To send it: {command}")
    return 0


def uploads_of(folder: Path, repo_id: str, with_trials: bool) -> list[Upload]:
    """The checked uploads of a run or of a supernet."""
    if not is_supernet(folder):
        refuse_without_model(folder)
        return prepare(folder, repo_id, with_trials)
    if with_trials:
        raise PushError(f"{folder} is a supernet and has no search log: push its run with --with-trials.")
    return [prepare_supernet(folder, repo_id)]


def refuse_without_model(run: Path) -> None:
    """
    Raises:
        PushError: for a search by a function, unless a model was saved in its folder.
    """
    is_of_function = "method" not in RunFolder(run).read("run.json")["settings"]
    if is_of_function and not (run / "model" / "config.json").exists():
        raise PushError(
            f"{run} was searched by a function, which leaves scores and no models: save the model that you made "
            f"from them in {run / 'model'}, and push again."
        )


def plan(upload: Upload, private: bool, revision: str | None) -> list[str]:
    """Lines that describe the push of one repository."""
    seen = "private: only you and those you give access can read" if private else "public: everybody can read"
    where = f"{upload.repo_type} {upload.repo_id}" + (f", branch {revision}" if revision else "")
    sizes = upload.sizes()
    lines = [f"{where} ({seen} all of it), one commit:"]
    lines += [f"{size:>14,} bytes  {name}" for name, size in sizes.items()]
    return [*lines, f"{sum(sizes.values()):>14,} bytes  in {len(sizes)} files"]
