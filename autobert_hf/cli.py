"""The command line: `autobert COMMAND`, also `python -m autobert_hf` and `accelerate launch -m autobert_hf`."""

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from autobert_hf.commands.analyze import analyze_command
from autobert_hf.commands.convert import convert_command
from autobert_hf.commands.extract import extract_command
from autobert_hf.commands.measure import measure_command
from autobert_hf.commands.push import push_command
from autobert_hf.commands.report import report_command
from autobert_hf.commands.search import search_command
from autobert_hf.commands.select import select_command
from autobert_hf.commands.status import status_command
from autobert_hf.commands.variants import ablate_command, scale_command
from autobert_hf.commands.zoo import zoo_command
from autobert_hf.lab.training.team import LOST, is_lost_process
from autobert_hf.lab.training.trainer import TrainingError, memory_errors


class Ended(BaseException):
    """SIGTERM: a scheduler's time is up, or another process of the team has died and its launcher ends the rest."""


def end(number: int, frame: FrameType | None) -> NoReturn:
    raise Ended


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; that of SIGPIPE, without a message, where nobody reads on, as in `autobert zoo | head`."""
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = run(command, rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError as error:
        if not is_closed(sys.stdout.fileno()):  # it was another pipe
            print(f"autobert {command}: {error}", file=sys.stderr)
            return 1
        # Python writes out at its end what is left, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def is_closed(pipe: int) -> bool:
    """Whether the reader of a pipe has closed it."""
    poll = select.poll()
    poll.register(pipe, select.POLLERR)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def run(command: str, rest: Sequence[str]) -> int:
    if command not in COMMANDS:
        print(f"usage: autobert {{{','.join(COMMANDS)}}} ...\n\n`autobert COMMAND --help` says what each takes.")
        return 0 if command in ("-h", "--help") else 2
    signal.signal(signal.SIGTERM, end)
    try:
        with memory_errors():
            return COMMANDS[command](rest)
    except BrokenPipeError:
        raise
    except (OSError, TrainingError, ValueError) as error:
        print(f"autobert {command}: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print(
            f"\nautobert {command}: out of memory. Give a smaller --batch-size, --length or network; nothing that was "
            "finished is lost.",
            file=sys.stderr,
        )
        return 1
    except RuntimeError as error:
        if not is_lost_process(error):
            raise
        print(f"\nautobert {command}: {LOST}", file=sys.stderr)
        return 1
    except Ended:
        print(
            f"\nautobert {command}: ended from outside (SIGTERM), as by a scheduler, or by accelerate where another "
            "process of this run has died; the same command goes on from here.",
            file=sys.stderr,
        )
        return 143
    except KeyboardInterrupt:
        print(f"\nautobert {command}: stopped; the same command goes on from here.", file=sys.stderr)
        return 130


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "search": search_command,
    "convert": convert_command,
    "status": status_command,
    "select": select_command,
    "extract": extract_command,
    "analyze": analyze_command,
    "measure": measure_command,
    "report": report_command,
    "push": push_command,
    "zoo": zoo_command,
    "ablate": ablate_command,
    "scale": scale_command,
}
