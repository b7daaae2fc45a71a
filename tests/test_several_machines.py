"""Two launchers, as on two machines: the trials of one process, a folder that all see, and an end when one is gone."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # accelerate brings it
import pytest
from torch.distributed import TCPStore

from autobert_hf.cli import main

from .test_two_processes import ENVIRONMENT, ROOT, search, search_command, trials_of


SENTENCE = "another process of this run has died"


class Machine:
    """A launcher with one process of two."""

    def __init__(self, rank: int, port: int, folder: Path, num_trials: int, work: Path) -> None:
        self.log = work / f"machine-{rank}.log"
        launch = [f"--machine_rank={rank}", f"--main_process_port={port}", "--main_process_ip=127.0.0.1"]
        launch += ["--config_file=examples/cpu2.yaml", "--num_machines=2", "--num_processes=2"]
        job = search_command(folder, num_trials)
        with self.log.open("w") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "accelerate.commands.launch", *launch, "-m", "autobert_hf", *job],
                stdout=log,
                stderr=log,
                env=ENVIRONMENT | {"HF_HUB_OFFLINE": "1"},
                cwd=ROOT,
            )

    @property
    def said(self) -> str:
        return " ".join(self.log.read_text().split())

    def worker(self) -> psutil.Process:
        (worker,) = [
            child
            for child in psutil.Process(self.launcher.pid).children(recursive=True)
            if "LOCAL_RANK" in child.environ()
        ]
        return worker


def machines(folders: list[Path], num_trials: int, work: Path) -> list[Machine]:
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # finds a free port
    port = store.port
    del store
    return [Machine(rank, port, folder, num_trials, work) for rank, folder in enumerate(folders)]


@pytest.mark.timeout(600)
def test_two_machines_make_the_trials_of_one(tmp_path):
    both = machines([tmp_path / "two"] * 2, 6, tmp_path)
    assert [machine.launcher.wait(500) for machine in both] == [0, 0], both[0].said[-3000:]
    assert {trial["trial"] for trial in trials_of(tmp_path / "two") if "trial" in trial} == {*range(6)}
    assert main([*search_command(tmp_path / "one", 6), "--cpu"]) == 0
    assert trials_of(tmp_path / "two") == trials_of(tmp_path / "one")


@pytest.mark.timeout(600)
def test_a_folder_that_one_machine_does_not_see_is_refused(tmp_path):
    both = machines([tmp_path / "here", tmp_path / "there"], 6, tmp_path)
    assert [machine.launcher.wait(500) for machine in both] == [1, 1]
    for machine in both:
        assert f":{tmp_path}/here: what the first process writes does not appear for process 1 at" in machine.said
        assert f":{tmp_path}/there. Give an --output-dir that all machines share" in machine.said
    assert not (tmp_path / "here" / "supernet").exists(), "nothing was trained"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("how", ["kill", "end", "crash", "off"])
def test_one_that_is_gone_ends_the_other_in_words(tmp_path, how, rank):
    """And the same command goes on, here on one machine, as if nothing had been."""
    journal = tmp_path / "both" / "journal.jsonl"
    both = machines([tmp_path / "both"] * 2, 4000, tmp_path)
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 5):
        assert [machine.launcher.poll() for machine in both] == [None, None], both[0].said[-3000:]
        time.sleep(0.1)
    gone, other, worker = both[rank], both[1 - rank], both[rank].worker()
    start = time.monotonic()
    if how == "off":  # it answers nothing and closes no connection; the other waits in an exchange
        worker.suspend()
        gone.launcher.send_signal(signal.SIGSTOP)
    elif how == "crash":
        worker.kill()
        gone.launcher.kill()
    else:
        gone.launcher.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
    assert other.launcher.wait(90) == 1
    assert time.monotonic() - start < 60
    assert SENTENCE in other.said
    if how == "off":
        worker.kill()
        gone.launcher.kill()
    worker.wait(60)  # an orphan would go on writing
    gone.launcher.wait(60)
    done = len([trial for trial in trials_of(tmp_path / "both") if "trial" in trial])
    assert 4 <= done < 4000
    total = (done // 4 + 1) * 4  # the end of a round
    assert search(tmp_path / "both", 1, total)[:8] == search(tmp_path / "one", 1, 8)[:8]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_machines_go_on_with_what_one_began(tmp_path):
    search(tmp_path / "run", 1, 4)
    shutil.copytree(tmp_path / "run", tmp_path / "one")
    both = machines([tmp_path / "run"] * 2, 8, tmp_path)
    assert [machine.launcher.wait(500) for machine in both] == [0, 0], both[0].said[-3000:]
    assert trials_of(tmp_path / "run") == search(tmp_path / "one", 1, 8)
