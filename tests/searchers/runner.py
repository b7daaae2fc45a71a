"""
Runs `autobert` commands in processes of their own, forked from one that has imported everything, and kills them on
order. Reads requests from standard input, one JSON object a line, and answers each with one line:

    {"command": [...], "trace": "FILE", "log": "FILE", "kill": {"name": "step", "nth": 3, "half": false}}
    {"code": -9}

Everything that a run does to its files, and every training step, is an event with a name. A run is killed just before
the nth event whose name begins so, or in the middle of it: `half` leaves a half-written file or line behind. `trace`
gets the names of all events of a run that ends by itself. `file_limit` is the size in bytes from which on the system
refuses to let a file grow. With `flops_clock` work is counted where time would be measured, and finished networks take
`slower` times as long as it tells. Checkpoints are written after every step. Cards are left out: drawing takes longer
than the search.
"""

import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from autobert_hf import api, cli
from autobert_hf.lab.measuring import final_latency, latency_samples
from autobert_hf.lab.measuring.paired_times import Ratio
from autobert_hf.lab.training.trainer import Clock, Trainer
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records import journal, tensor_files


class Events:
    """Keeps the names of what happened, and dies where it was told to."""

    def __init__(self, name: str = "", nth: int = -1, half: bool = False) -> None:
        self.happened: list[str] = []
        self.name, self.nth, self.half = name, nth, half

    def __call__(self, name: str, write_half: Callable[[], Any] = lambda: None) -> None:
        alike = [past for past in self.happened if past.startswith(self.name)]
        if name.startswith(self.name) and len(alike) == self.nth:
            if self.half:
                write_half()
            os.kill(os.getpid(), signal.SIGKILL)
        self.happened.append(name)


def watch(events: Events) -> None:
    """Puts an event before each thing that a run does to the disk, and before each training step."""

    def before(owner: Any, name: str, event: Callable[..., None]) -> None:  # noqa: ANN401 (a module or a class)
        original = getattr(owner, name)

        def replacement(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (whatever the original takes)
            event(*args)
            return original(*args, **kwargs)

        setattr(owner, name, replacement)

    def save_half(path: Path) -> None:
        path.write_bytes(b"\0" * 1000)

    before(
        tensor_files, "save_file", lambda tensors, path, *rest: events(f"save {path.name}", lambda: save_half(path))
    )
    before(journal, "_write_all", lambda fd, data: events("line", lambda: os.write(fd, data[: len(data) // 2])))
    before(os, "fsync", lambda fd: events("fsync"))
    before(Path, "write_text", lambda path, *rest: events(f"write {path.name}", lambda: save_half(path)))
    before(Path, "replace", lambda path, target: events(f"rename {target.name}"))
    before(Path, "rename", lambda path, target: events(f"rename {target.name}"))
    before(Path, "unlink", lambda path: events(f"unlink {path.name}"))
    before(shutil, "rmtree", lambda path: events(f"rmtree {Path(path).name}"))
    before(Trainer, "update", lambda trainer, batch: events("step"))


def count_work(models: dict[str, Any], *rest: Any, slower: float = 1.0, **options: Any) -> dict[str, Ratio]:
    """In units of a teacher of three layers; what is none of our networks takes as long as that."""
    times = {
        name: slower * (0.05 + count_flops(model.config, 16) / 3.5e6)
        if isinstance(model.config, AutoBertConfig)
        else 1.0
        for name, model in models.items()
    }
    return {name: Ratio(time, time, time, time, time, False, 0.0, 6) for name, time in times.items()}


def run(request: dict[str, Any]) -> int:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if "file_limit" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"], request["file_limit"]))
    if request.get("flops_clock"):
        latency_samples.measure_latency = count_work
        final_latency.measure_latency = partial(count_work, slower=request.get("slower", 1.0))
    api.write_card = lambda *which: None
    Clock.rings = lambda clock: True
    events = Events(**request.get("kill", {}))
    watch(events)
    code = cli.main(request["command"])
    if "trace" in request:
        Path(request["trace"]).write_text(json.dumps(events.happened))
    return code


def main() -> None:
    with suppress(ImportError):  # slow to import, and a run with a teacher does so at its end
        import sentence_transformers  # noqa: F401
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 99  # an exception that the command line let through
            try:
                code = run(request)
            finally:
                sys.stdout.flush()  # which _exit does not
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)  # noqa: T201 (the answer)


if __name__ == "__main__":
    main()
