"""The processes of a run, which may be on several machines, write to one folder and read from it."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from autobert_hf.lab.training.partners import Partners
from autobert_hf.lab.training.team import Team
from autobert_hf.records.files import disk_errors
from autobert_hf.records.run_folder import RunError, RunFolder


PATIENCE = 10.0  # seconds that a network file system may take to show a new name


@contextmanager
def shared_folder(
    path: Path, team: Team, given: Mapping[str, object], opened: Callable[[RunFolder], object]
) -> Iterator[None]:
    """
    The folder of a run, which the first process opens with `opened`, belongs to these processes for the time of the
    context, and none of them continues without the others. `given`: the settings of this process.

    Raises:
        RunError: if the folder is another's, if not all processes see it, or if their settings differ.
    """
    folder = RunFolder(path)
    with Partners(team):
        try:
            check_same(given, team)
            if team.is_main:
                opened(folder)
            check_shared(path, team)
            yield
        finally:
            folder.release()


def check_same(given: Mapping[str, object], team: Team) -> None:
    """
    Raises:
        RunError: in all processes, naming the first setting that two of them do not share.
    """
    first, *others = team.gather_in_order([dict(given)])
    for rank, other in enumerate(others, start=1):
        for name in first | other:
            if first.get(name) != other.get(name):
                raise RunError(
                    f"The processes of this run have different settings: {name} is {first.get(name)!r} in process 0 "
                    f"and {other.get(name)!r} in process {rank}. Start it with the same command on every machine, but "
                    "for --machine_rank."
                )


def check_shared(path: Path, team: Team) -> None:
    """
    Raises:
        RunError: in all processes, naming those that do not see what the first one writes.
    """
    if team.size == 1:
        return
    here = f"{socket.gethostname()}:{path.absolute()}"
    place, name = team.gather_in_order([(here, f".{uuid4().hex}.tmp")])[0]
    mark = path / name  # a new name each time: what was once looked for in vain may be remembered as missing
    if team.is_main:
        with disk_errors(path):
            mark.mkdir()
    team.wait()
    seen = team.gather_in_order([(f"process {team.rank} at {here}", _appears(mark))])
    if team.is_main:
        mark.rmdir()
    if blind := [who for who, sees in seen if not sees]:
        raise RunError(
            f"Not every process sees the run's folder, {place}: what the first process writes does not appear for "
            f"{', '.join(blind)}. Give an --output-dir that all machines share, on a network file system, say."
        )


def _appears(mark: Path) -> bool:
    end = time.monotonic() + PATIENCE
    while not mark.is_dir():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
