"""
Training with our loop against a plain Hugging Face loop of the same network: tokens per second, on one CPU thread or
on a GPU.

    python benchmarks/training_speed.py --output benchmarks/results/training_speed.json
    python benchmarks/training_speed.py --device cuda --size base --output benchmarks/results/training_speed-gpu.json

Plain: the model as it comes (fp32, dropout 0.1, logits of all words), torch's AdamW. Ours: what `autobert search`
trains with (bf16 where the processor multiplies in it, logits of masked words only, plain attention, no dropout, fused
AdamW, gradients clipped). Fine-tuning is on texts of unequal length: padded to 128 against batches of nearly equal
length.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, PreTrainedConfig, PreTrainedModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertForSequenceClassification
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.data.masked_words import generator
from autobert_hf.lab.losses.head_loss import HeadLoss
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.measuring.paired_times import Clock, Ratio, clocks, paired_ratios
from autobert_hf.lab.measuring.workload import cuda_clocks
from autobert_hf.lab.tasks.fine_tune import Buckets, collate
from autobert_hf.lab.tasks.task_data import Row
from autobert_hf.lab.training.recipe import Recipe, default_precision, fastest_attention
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.machine import machine_name


SIZES = {"4x256": (4, 256, 4), "base": (12, 768, 12), "tiny": (1, 32, 2)}  # layers, width, heads
WORDS = (8192, 30522)
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
BATCH, LENGTH = 32, 128
SAMPLED = 4  # batches of an epoch that are timed, evenly over its lengths
Call = Callable[[], None]


def sizes(size: str, vocab: int) -> dict[str, int]:
    layers, width, heads = SIZES[size]
    inner = {"intermediate_size": 4 * width, "num_attention_heads": heads}
    return inner | {"hidden_size": width, "num_hidden_layers": layers, "vocab_size": vocab}


def clock_of(team: Team) -> Clock:
    """Processor time, or on a GPU the time between two events."""
    return cuda_clocks if team.device.type == "cuda" else clocks


def plain(model: PreTrainedModel, batches: Sequence[Batch], team: Team, bf16: bool = False) -> Call:
    model.to(team.device).train()
    batches = [team.to_device(batch) for batch in batches]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def call() -> None:
        for batch in batches:
            with torch.autocast(team.device.type, torch.bfloat16, enabled=bf16):
                loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return call


def ours(model: PreTrainedModel, loss: type[Loss], batches: Sequence[Batch], team: Team) -> Call:
    trainer = Trainer(model.train(), loss(model.config), lambda step, shard: [model], Recipe(10**6), team)

    def call() -> None:
        for batch in batches:
            trainer.update(batch)

    return call


def fast(config: PreTrainedConfig, team: Team) -> PreTrainedConfig:
    config._attn_implementation = fastest_attention(team.accelerator)
    return config


def masked_language_model(size: str, vocab: int, rounds: int, team: Team) -> dict[str, Ratio]:
    ids = torch.randint(1, vocab, (BATCH, LENGTH))
    batches = [{"input_ids": ids, "labels": ids.masked_fill(torch.rand(ids.shape) > 0.15, -100)}]
    shape = sizes(size, vocab)
    tuned = BertConfig(**shape, **NO_DROPOUT, attn_implementation=fastest_attention(team.accelerator))
    return paired_ratios(
        plain(BertForMaskedLM(BertConfig(**shape)), batches, team),
        {
            "AutoBert, plain loop": plain(AutoBertForMaskedLM(AutoBertConfig(**shape)), batches, team),
            "BERT, plain loop in bf16, no dropout, fastest attention": plain(
                BertForMaskedLM(tuned), batches, team, bf16=True
            ),
            "AutoBert, our loop": ours(
                AutoBertForMaskedLM(fast(AutoBertConfig(**shape, **NO_DROPOUT), team)), MaskedWords, batches, team
            ),
        },
        rounds,
        repeats=1,
        clock=clock_of(team),
    )


def unequal_rows(middle: float, spread: float, number: int = 1600) -> list[Row]:
    """Rows of 8 to 128 tokens, log-normal."""
    drawn = torch.randn(number, generator=generator(0, "lengths"))
    lengths = (middle * (spread * drawn).exp()).round().clamp(8, LENGTH).int().tolist()
    ids = torch.randint(1, 30000, (number, LENGTH)).tolist()
    return [
        {"input_ids": row[:length], "token_type_ids": [0] * length, "labels": number % 2}
        for number, (row, length) in enumerate(zip(ids, lengths, strict=True))
    ]


def padded(batch: Batch) -> Batch:
    """To 128 tokens, as `padding="max_length"` does."""
    missing = LENGTH - batch["input_ids"].shape[1]
    return {name: t if t.ndim == 1 else torch.nn.functional.pad(t, (0, missing)) for name, t in batch.items()}


def fine_tuning(rows: list[Row], size: str, rounds: int, team: Team) -> dict[str, Ratio]:
    """Every way trains on SAMPLED batches of 32 rows; the bucketed ones are taken evenly over an epoch's lengths."""
    random = [collate(rows[BATCH * i : BATCH * (i + 1)], 0) for i in range(SAMPLED)]
    buckets = Buckets(rows, BATCH, 0, 0)
    epoch = sorted((buckets.batch(step) for step in range(len(rows) // BATCH)), key=lambda b: b["input_ids"].shape[1])
    even = [epoch[len(epoch) * (2 * i + 1) // (2 * SAMPLED)] for i in range(SAMPLED)]
    shape, equal = sizes(size, 30522), [padded(batch) for batch in random]

    def network(plainly: bool = False) -> PreTrainedModel:
        config = AutoBertConfig(**shape) if plainly else fast(AutoBertConfig(**shape, **NO_DROPOUT), team)
        return AutoBertForSequenceClassification(config)

    return paired_ratios(
        plain(BertForSequenceClassification(BertConfig(**shape)), equal, team),
        {
            "BERT, plain loop, buckets": plain(BertForSequenceClassification(BertConfig(**shape)), even, team),
            "AutoBert, our loop, to 128": ours(network(), HeadLoss, equal, team),
            "AutoBert, our loop, to the batch's longest": ours(network(), HeadLoss, random, team),
            "AutoBert, our loop, buckets": ours(network(), HeadLoss, even, team),
        },
        rounds,
        repeats=1,
        clock=clock_of(team),
    )


def record(title: str, found: dict[str, Ratio], tokens: int) -> dict[str, dict[str, float]]:
    """Speed over the reference's, so the quartiles of the times change places."""
    print(title, flush=True)
    entries = {}
    for name, ratio in found.items():
        entries[name] = {
            "speed_up": 1 / ratio.median,
            "low": 1 / ratio.high,
            "high": 1 / ratio.low,
            "by_wall_clock": 1 / ratio.wall,
            "tokens_per_processor_second": tokens / ratio.seconds,
            "busy": ratio.busy,
        }
        print(f"  {name:<56}{1 / ratio.median:.2f} [{1 / ratio.high:.2f}-{1 / ratio.low:.2f}]", flush=True)
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training_speed.json"))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", choices=[*SIZES], default="4x256")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cpu, size = arguments.device == "cpu", arguments.size
    team = Team(Accelerator(cpu=cpu, mixed_precision=default_precision(use_cpu=cpu)))
    results: dict[str, object] = {
        "threads": 1,
        "torch": torch.__version__,
        "machine": machine_name(arguments.device),
        "size": size,
        "precision of our loop": team.accelerator.mixed_precision,
        "rounds": arguments.rounds,
    }
    for vocab in WORDS:
        title = f"MLM {size}, {vocab:,} words"
        results[title] = record(title, masked_language_model(size, vocab, arguments.rounds, team), BATCH * LENGTH)
    for title, shape in (("few are long", (24, 0.6)), ("most are long", (72, 0.6))):
        rows = unequal_rows(*shape)
        share = sum(len(row["input_ids"]) for row in rows) / len(rows) / LENGTH
        title = f"fine-tuning, {title}: {share:.0%} of 128"
        tokens = SAMPLED * BATCH * LENGTH  # counted with padding: what the reference works through
        results[title] = record(title, fine_tuning(rows, size, arguments.rounds, team), tokens)
    results["load average"] = os.getloadavg()[0]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
