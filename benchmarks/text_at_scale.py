"""
Rows of a large text: speed and memory against `datasets.map`, and what a training step from Arrow files costs.

    python benchmarks/text_at_scale.py --megabytes 2000 --map-megabytes 200

`prepare` reads, trains a tokenizer, tokenizes and packs the whole file. `datasets.map` only tokenizes, with the same
tokenizer and number of processes, the first --map-megabytes of the file once before and once after; that it has read
the file before does not count against it. Memory is the sum of the proportional set sizes of all processes, sampled
twice a second. A training step takes its batch from Arrow files, or the same batch from a tensor.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
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
from autobert_hf.lab.data.tokenizers import tokenizer_of
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.measuring.paired_times import Ratio, paired_ratios
from autobert_hf.lab.training.recipe import Recipe, default_precision
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.records.run_folder import write_json


MB = 10**6
IN_MEMORY = 8  # files of rows that the training step has in memory too


def paragraphs(seed: int = 0) -> Iterator[str]:
    """For ever: words as frequent as in prose (Zipf) out of 60,000 made-up ones, in sentences."""
    rng = np.random.default_rng(seed)
    letters = np.array(list("eeettaaooiinnsshhrrddlluccmmwwffggyyppbbvk"))
    words = np.array(["".join(rng.choice(letters, 1 + n)) for n in rng.poisson(4.5, 60_000)])
    while True:
        ranks = (60_000 ** rng.random(200_000)).astype(int) - 1
        sentences = [" ".join(part).capitalize() + "." for part in np.split(words[ranks], range(15, 200_000, 15))]
        yield from (" ".join(sentences[at : at + 5]) for at in range(0, len(sentences), 5))


def write_text(path: Path, size: int) -> None:
    with path.open("w") as file:
        for paragraph in paragraphs():
            if file.write(f"{paragraph}\n\n") and file.tell() >= size:
                return


def measured(work: Callable[..., list[float]], *given: object) -> tuple[list[float], float]:
    """What it returns from a new process, and the peak memory of that one and all below it, in MB."""
    context = get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=answer, args=(answers, work, *given))
    process.start()
    top, peak = psutil.Process(process.pid), 0
    while process.is_alive():
        peak = max(peak, sum(map(memory, [top, *top.children(recursive=True)])))
        time.sleep(0.5)
    if process.exitcode:
        raise SystemExit(f"{work.__name__} has failed.")
    return answers.get(), peak / MB


def memory(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0  # it has ended meanwhile


def answer(answers: "object", work: Callable[..., list[float]], *given: object) -> None:
    answers.put(work(*given))


def prepared(text: Path, folder: Path, processes: int) -> list[float]:
    """Seconds of the tokenizer and of the rows."""
    source = Source([str(text)], [], "", "", vocab_size=8000, length=128, seed=0)
    begin = time.perf_counter()
    tokenizer_of(source, folder)
    middle = time.perf_counter()
    prepare(source, folder, processes)
    return [middle - begin, time.perf_counter() - middle]


def mapped(text: Path, tokenizer: Path, cache: Path, processes: int) -> list[float]:
    import datasets

    known = AutoTokenizer.from_pretrained(tokenizer)
    table = datasets.load_dataset("text", data_files=str(text), sample_by="paragraph", split="train", cache_dir=cache)
    begin = time.perf_counter()
    table.map(tokenized, batched=True, num_proc=processes, remove_columns="text", fn_kwargs={"tokenizer": known})
    return [time.perf_counter() - begin]


def tokenized(batch: dict[str, list[str]], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[list[int]]]:
    ids = tokenizer(
        batch["text"], add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False
    )
    return {"input_ids": ids["input_ids"]}


def training_step(folder: Path, rounds: int) -> dict[str, Ratio]:
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

    candidates = {"the same rows": steps(some), "all rows": steps(every)}
    return paired_ratios(steps(some[torch.arange(len(some))]), candidates, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--map-megabytes", type=int, default=200)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="Where there is room for three times the text.")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/text_at_scale.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        text, part = folder / "text.txt", folder / "part.txt"
        write_text(text, given.megabytes * MB)
        write_text(part, given.map_megabytes * MB)  # the same text, as far as it goes
        first = Source([str(part)], [], "", "", vocab_size=8000, length=128, seed=0)
        tokenizer_of(first, folder / "first")
        map_times, map_peaks = [], []
        for when in ("before", "after"):
            (seconds,), peak = measured(mapped, part, folder / "first/tokenizer", folder / when, given.processes)
            map_times.append(seconds)
            map_peaks.append(peak)
            shutil.rmtree(folder / when)
            if when == "before":
                (tokenizer, rows), peak_memory = measured(prepared, text, folder / "rows", given.processes)
        step = training_step(folder / "rows", given.rounds)
    speeds = [given.map_megabytes / seconds for seconds in map_times]
    ours = given.megabytes / (tokenizer + rows)
    results = {
        "megabytes": given.megabytes,
        "processes": given.processes,
        "prepare": {"tokenizer_seconds": tokenizer, "rows_seconds": rows, "mb_per_second": ours, "peak_mb": peak_memory},
        "datasets.map": {"megabytes": given.map_megabytes, "mb_per_second": speeds, "peak_mb": map_peaks},
        "speed over datasets.map": ours / (sum(speeds) / len(speeds)),
        "training step over memory": {name: ratio.to_dict() for name, ratio in step.items()},
        "load average": os.getloadavg()[0],
    }
    write_json(given.output, results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
