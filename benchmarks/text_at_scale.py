"""
Rows of a large text: speed and memory beside `datasets.map`, and what a training step from Arrow files costs.

    python benchmarks/text_at_scale.py --megabytes 2000 --map-megabytes 200

`prepare` reads, trains a tokenizer, tokenizes and packs the whole file; `datasets.map` tokenizes its first
--map-megabytes, once before and once after, and that it has read them into its cache is not counted. Memory: the
proportional set sizes of all processes together, sampled twice a second.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
from accelerate import Accelerator
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.corpus import prepare, row_tables
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.measuring.paired_times import paired_ratios
from autobert_hf.lab.training.recipe import Recipe, default_precision
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.json_files import write_json


WORDS, MB = 60_000, 10**6
IN_MEMORY = 8  # files of rows that the training step has in memory too


def paragraphs() -> Iterator[str]:
    """For ever: made-up words, as frequent as those of prose (Zipf), in sentences of 15; each comes ten times."""
    rng = np.random.default_rng(0)
    letters = np.array(list("eeettaaooiinnsshhrrddlluccmmwwffggyyppbbvk"))
    words = np.array(["".join(rng.choice(letters, 1 + n)) for n in rng.poisson(4.5, WORDS)])
    while True:
        drawn = words[(WORDS ** rng.random((10_000, 75))).astype(int) - 1]
        made = [" ".join(" ".join(part).capitalize() + "." for part in one.reshape(5, 15)) + "\n\n" for one in drawn]
        yield from (made[at] for _ in range(10) for at in rng.permutation(len(made)))


def write_text(path: Path, size: int) -> None:
    with path.open("w") as file:
        written = 0
        for paragraph in paragraphs():
            written += file.write(paragraph)
            if written >= size:
                return


def measured(work: Callable[..., float], *given: object) -> dict[str, float]:
    """Seconds, as the work itself counts them in a new process, and the peak of the memory that it takes."""
    peak = 0
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        seconds = pool.submit(work, *given)
        while not seconds.done():
            with suppress(psutil.Error):  # a process may end meanwhile
                processes = psutil.Process().children(recursive=True)
                peak = max(peak, sum(process.memory_full_info().pss for process in processes))
            time.sleep(0.5)
    return {"seconds": seconds.result(), "peak_mb": peak / MB}


def prepared(text: Path, folder: Path, processes: int) -> float:
    begin = time.perf_counter()
    prepare(Source([str(text)], [], "", "", vocab_size=8000, length=128, seed=0), folder, processes)
    return time.perf_counter() - begin


def mapped(text: Path, tokenizer: Path, cache: Path, processes: int) -> float:
    import datasets

    datasets.disable_progress_bars()
    known = {"tokenizer": AutoTokenizer.from_pretrained(tokenizer)}
    table = datasets.load_dataset("text", data_files=str(text), sample_by="paragraph", split="train", cache_dir=cache)
    begin = time.perf_counter()
    table.map(tokenized, batched=True, num_proc=processes, remove_columns="text", fn_kwargs=known)
    return time.perf_counter() - begin


def tokenized(batch: dict[str, list[str]], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[list[int]]]:
    less = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    return {"input_ids": tokenizer(batch["text"], add_special_tokens=False, **less)["input_ids"]}


def training_step(folder: Path, rounds: int) -> dict[str, dict[str, float | bool]]:
    """Over the same step with the same rows in memory: from files with these rows, and from all files."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    tables = row_tables(folder, "train")
    some, every = (RowFiles(part, tokenizer.pad_token_id) for part in (tables[:IN_MEMORY], tables))
    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
    model = AutoBertForMaskedLM(AutoBertConfig(vocab_size=len(tokenizer), **sizes)).train()
    team = Team(Accelerator(cpu=True, mixed_precision=default_precision(use_cpu=True)))
    trainer = Trainer(model, MaskedWords(model.config), lambda step, shard: [model], Recipe(10**6), team)

    def steps(rows: torch.Tensor | RowFiles) -> Callable[[], None]:
        batches, numbers = MaskedBatches(rows, tokenizer, 32, 0), iter(range(10**6))
        return lambda: trainer.update(batches.batch("step", step=next(numbers)))

    files = {"the same rows": steps(some), "all rows": steps(every)}
    found = paired_ratios(steps(some[torch.arange(len(some))]), files, rounds, repeats=1)
    return {name: ratio.to_dict() for name, ratio in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--map-megabytes", type=int, default=200)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/text_at_scale.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, object] = {name: getattr(given, name) for name in ("megabytes", "map_megabytes", "processes")}
    with TemporaryDirectory() as name:
        folder, text, part = Path(name), Path(name, "text.txt"), Path(name, "part.txt")
        write_text(text, given.megabytes * MB)
        write_text(part, given.map_megabytes * MB)
        prepared(part, folder / "first", given.processes)  # for a tokenizer
        maps = [measured(mapped, part, folder / "first/tokenizer", folder / "before", given.processes)]
        ours = results["prepare"] = measured(prepared, text, folder / "rows", given.processes)
        maps += [measured(mapped, part, folder / "first/tokenizer", folder / "after", given.processes)]
        results["datasets.map"] = maps
        speeds = [given.map_megabytes / one["seconds"] for one in maps]
        results["mb_per_second"] = {"prepare": given.megabytes / ours["seconds"], "datasets.map": speeds}
        results["training step over memory"] = training_step(folder / "rows", given.rounds)
    results["load average"] = os.getloadavg()[0]
    write_json(given.output, results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
