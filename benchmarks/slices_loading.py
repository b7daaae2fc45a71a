"""
What loading a slice of a BERT-base-sized supernet costs beside loading the whole: seconds, bytes read, peak memory.

    python benchmarks/slices_loading.py --folder /tmp/supernet

The two take turns, each time in a process of its own, files in the page cache. Bytes: `rchar` of /proc/self/io, which
counts explicit reads only, between the import and the end of loading. Peak memory: what VmHWM rises by. `plain` is the
whole network saved as transformers does. Needs Linux and 1 GB of disk.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autobert_hf import AutoBertConfig, AutoBertModel, AutoBertSuperNet, SuperNetSpace
from autobert_hf.records.json_files import write_json


# About a quarter of the parameters of BERT-base.
QUARTER = {
    "num_hidden_layers": 8,
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_attention_heads": 6,
    "head_dim": 64,
}
OFF_FRONT = {**QUARTER, "hidden_size": 432, "num_hidden_layers": 5}
BOX = {"num_hidden_layers": [4, 12, 1], "hidden_size": [192, 768, 16], "intermediate_size": [768, 3072, 64]}
BOX |= {"num_attention_heads": [3, 12, 1], "head_dim": [64, 64, 1]}
LOAD = """
import json, sys, time
from pathlib import Path
import autobert_hf
from transformers.utils.logging import disable_progress_bar
disable_progress_bar()
def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
def read(): return int(Path("/proc/self/io").read_text().split()[1])
folder, architecture = sys.argv[1], json.loads(sys.argv[2])
given = {} if architecture is None else {"architecture": architecture}
memory, before, start = status("VmRSS"), read(), time.perf_counter()
model = autobert_hf.AutoBertModel.from_pretrained(folder, **given)
seconds = time.perf_counter() - start
size = sum(w.numel() * w.element_size() for w in model.parameters())
peak = (status("VmHWM") - memory) * 1024
print(json.dumps({"seconds": seconds, "read": read() - before, "peak": peak, "size": size}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "autobert-supernet"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/slices_loading.json"))
    given = parser.parse_args()
    network = AutoBertModel(AutoBertConfig())
    space = SuperNetSpace(BOX, {}, [{"name": "quarter", "sizes": QUARTER, "scores": {}}])
    start = time.perf_counter()
    AutoBertSuperNet.wrap(network, space).save_pretrained(given.folder / "supernet")
    print(f"saved in {time.perf_counter() - start:.1f} s")
    network.save_pretrained(given.folder / "plain")
    loads = {"quarter": ("supernet", "quarter"), "off the front": ("supernet", OFF_FRONT)}
    loads |= {"whole": ("supernet", None), "plain": ("plain", None)}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in loads}
    for _ in range(given.rounds):
        for name, (folder, architecture) in loads.items():
            rows[name].append(load(given.folder / folder, architecture))
    for name, runs in rows.items():
        shares = [run["seconds"] / whole["seconds"] for run, whole in zip(runs, rows["whole"], strict=True)]
        first, times = runs[0], sorted(run["seconds"] for run in runs)
        time_, peak = statistics.median(times), statistics.median(run["peak"] for run in runs)
        print(f"{name}: {time_:.2f} s ({times[0]:.2f} to {times[-1]:.2f}), {statistics.median(shares):.2f} ", end="")
        print(f"({min(shares):.2f} to {max(shares):.2f}) of the whole; weights {first['size'] / 1e6:.1f} MB, ", end="")
        print(f"read {first['read'] / 1e6:.1f} MB, peak {peak / 1e6:.0f} MB")
    write_json(given.output, rows)


def load(folder: Path, architecture: object) -> dict[str, float]:
    command = [sys.executable, "-c", LOAD, str(folder), json.dumps(architecture)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded: dict[str, float] = json.loads(done.stdout)
    return loaded


if __name__ == "__main__":
    main()
