"""The report of a rank check: agreement of every cheap score with stand-alone training."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

from autobert_hf.records.goals import Goal
from autobert_hf.searchers.analysis.rank_check import INHERITED, SCRATCH_SHORT, STAND_ALONE, UNTRAINED
from autobert_hf.searchers.analysis.rank_statistics import (
    Agreement,
    Scores,
    agreement_difference,
    buckets,
    ceiling,
    rank_agreement,
)
from autobert_hf.searchers.evaluators.stand_alone import LOSS_AT


CONVOLUTIONS = "convolution layers"
SHOWN = {"flops": "FLOPs"}  # display names that differ from the score's name
FREE = {"trained": 0, "judged": 0, "once": 0}  # known from the configuration


@dataclass(frozen=True)
class Judged:
    """Scores of the n networks for which no judgement failed; every score is (n,), lower is better."""

    numbers: list[int]
    cheap: Mapping[str, Scores]
    runs: Sequence[Scores]  # stand-alone, one for each seed
    early: Mapping[int, Sequence[Scores]]  # the same after so many tokens
    parameters: list[int]
    attention_layers: list[int]

    @property
    def real(self) -> list[float]:
        return [statistics.mean(losses) for losses in zip(*self.runs, strict=True)]


def judged(records: Sequence[Mapping[str, Any]], seeds: Sequence[int], main: Goal, sizes: Sequence[str]) -> Judged:
    """
    Leaves out networks with a failed judgement. The inherited score is that of `main`; for `sizes`, which are known
    without training, larger counts as better. Raises ValueError if fewer than 3 networks are left.
    """
    failed = {record["network"] for record in records if record["status"] != "done"}
    numbers = sorted({record["network"] for record in records} - failed)
    if len(numbers) < 3:
        raise ValueError(f"{len(numbers)} networks could be trained, too few to rank: ask for more with --networks.")
    by_key = {(record["kind"], record["network"], record["seed"]): record for record in records}

    def column(kind: str, score: str, seed: int = 0) -> list[float]:
        return [by_key[kind, number, seed]["scores"][score] for number in numbers]

    layers = [by_key[INHERITED, number, 0]["architecture"]["layers"] for number in numbers]
    attention = [sum(layer["layer_type"] != "conv" for layer in network) for network in layers]
    cheap = {
        INHERITED: [-main.of(by_key[INHERITED, number, 0]["scores"]) for number in numbers],
        UNTRAINED: column(INHERITED, "loss before training"),
        SCRATCH_SHORT: column(SCRATCH_SHORT, "loss"),
    }
    if any(layer["layer_type"] == "conv" for network in layers for layer in network):
        cheap[CONVOLUTIONS] = [float(number) for number in attention]
    cheap |= {SHOWN.get(name, name): [-size for size in column(INHERITED, name)] for name in sizes}
    first = by_key[STAND_ALONE, numbers[0], seeds[0]]["scores"]
    points = [int(name.removeprefix(LOSS_AT)) for name in first if name.startswith(LOSS_AT)]
    early = {at: [column(STAND_ALONE, f"{LOSS_AT}{at}", seed) for seed in seeds] for at in sorted(points)}
    runs = [column(STAND_ALONE, "loss", seed) for seed in seeds]
    parameters = [int(number) for number in column(INHERITED, "parameters")]
    return Judged(numbers, cheap, runs, early, parameters, attention)


def rank_report(of: Judged, costs: Mapping[str, Mapping[str, float]], study: Mapping[str, Any]) -> dict[str, Any]:
    """
    The report as plain data: the settings of the check (`study`, with the `unit` of losses and the search's `goal`),
    agreement, differences, ceiling, buckets, cost, and the points.
    """
    agreement = rank_agreement(of.cheap, of.real)
    others = [name for name in of.cheap if name != INHERITED]
    between = [statistics.stdev(losses) for losses in zip(*of.runs, strict=True)] if len(of.runs) > 1 else []
    return {
        "study": dict(study),
        "networks": len(of.numbers),
        "losses": {
            "mean": statistics.mean(of.real),
            "sd of networks": statistics.stdev(of.real),
            "sd of seeds": statistics.mean(sd * sd for sd in between) ** 0.5 if between else None,
        },
        "scores": {name: _plain(found) | {"cost": dict(costs.get(name, FREE))} for name, found in agreement.items()},
        "differences": {
            f"{INHERITED} - {name}": _plain(agreement_difference(of.cheap[INHERITED], of.cheap[name], of.real))
            for name in others
        },
        "ceiling": _plain(ceiling(of.runs)),
        "other seed's final loss after": _growth(of),
        "buckets": {
            "parameters": _buckets(of, of.parameters),
            "attention layers": _buckets(of, of.attention_layers),
        },
        "points": {"network": of.numbers, "attention layers": of.attention_layers, "real": of.real, **of.cheap},
    }


def _growth(of: Judged) -> dict[int, float]:
    """Kendall's tau of the loss after each number of tokens with another seed's final loss, mean over seed pairs."""
    pairs = list(permutations(range(len(of.runs)), 2))
    return {
        tokens: statistics.mean(rank_agreement({"": early[a]}, of.runs[b])[""]["kendall"].value for a, b in pairs)
        for tokens, early in of.early.items()
        if pairs
    }


def _buckets(of: Judged, sizes: Sequence[int]) -> list[dict[str, Any]]:
    parts = []
    for inside in buckets(sizes):
        real = [of.real[i] for i in inside]
        cheap = {name: [scores[i] for i in inside] for name, scores in of.cheap.items()}
        kendall = {name: _plain(found)["kendall"] for name, found in rank_agreement(cheap, real).items()}
        low, high = (pick(sizes[i] for i in inside) for pick in (min, max))
        parts.append({"from": low, "to": high, "networks": len(inside), "kendall": kendall})
    return parts


def _plain(agreement: Agreement | None) -> dict[str, Any]:
    """As plain data, with NaN (a score is the same for all networks) as None for JSON."""
    return {
        name: {key: None if value != value else value for key, value in asdict(estimate).items()}
        for name, estimate in (agreement or {}).items()
    }


def table(report: Mapping[str, Any]) -> list[str]:
    """The report as lines for a terminal."""
    study, losses = report["study"], report["losses"]
    spread = f", {losses['sd of seeds']:.4f} between seeds" if losses["sd of seeds"] is not None else ""
    lines = [
        f"{report['networks']} networks, stand-alone training on {study['tokens']:,} tokens, seeds {study['seeds']}",
        f"loss {losses['mean']:.4f}, standard deviation {losses['sd of networks']:.4f} between networks{spread}",
        "",
        f"{'score':<22}{'Kendall':<22}{'Spearman':<22}{'pairs in order':<22}{'tokens each':>12}{'tokens once':>14}",
    ]
    for name, found in report["scores"].items():
        cost = found["cost"]
        lines.append(f"{name:<22}{_cells(found)}{cost['trained']:>12,}{cost['once']:>14,}")
    lines.append(f"{'ceiling (two seeds)':<22}{_cells(report['ceiling']) or 'needs two seeds'}")
    lines += ["", "paired differences"]
    lines += [f"{name:<44}{_cells(found)}" for name, found in report["differences"].items()]
    lines += ["", "Kendall of a training's intermediate loss with another seed's final loss"]
    lines += [
        f"{int(tokens):>12,} tokens  {tau:.2f}" for tokens, tau in report["other seed's final loss after"].items()
    ]
    for by, parts in report["buckets"].items():
        lines += ["", f"Kendall by {by}"]
        for part in parts:
            size = f"{part['from']:,} to {part['to']:,} (n {part['networks']})"
            cells = "  ".join(f"{name} {_interval(kendall)}" for name, kendall in part["kendall"].items())
            lines.append(f"{size:<34}{cells}")
    return lines


def _cells(found: Mapping[str, Any]) -> str:
    keys = ("kendall", "spearman", "pairwise_accuracy")
    return "".join(f"{_interval(found[key]):<22}" for key in keys if key in found)


def _interval(of: Mapping[str, float | None]) -> str:
    value, low, high = (of[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    return f"{value:.2f}" if low is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
