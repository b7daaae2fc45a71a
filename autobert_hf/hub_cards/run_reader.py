"""What a finished run left behind, as plain data: the only source of everything that a card says."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from autobert_hf.hub_cards.architecture import Network


Trial = dict[str, Any]

QUALITY = ("task_score", "loss")  # what decides; the first one that the trials have
MAXIMIZED = ("task_score",)
SIZES = ("latency", "flops", "parameters")


class RecordError(ValueError):
    """The folder holds no run, or its records are not what a run writes."""


@dataclass(frozen=True)
class Records:
    """
    `run`: run.json (settings, inputs, versions). `trials`: the lines of journal.jsonl. `reports`: report/*.json by
    name, e.g. `training`, `ranking`, `latency`. `number`: the trial that the model was made from, where it was picked
    after the search; without one, the best of those that `network` may come from.
    """

    run: dict[str, Any]
    trials: list[Trial]
    reports: dict[str, Any]
    number: int | None = None
    network: Network | None = None

    @classmethod
    def read(cls, run: Path, number: int | None = None, network: Network | None = None) -> "Records":
        reports = {path.stem: _json(path) for path in sorted((run / "report").glob("*.json"))}
        records = cls(_json(run / "run.json"), _lines(run / "journal.jsonl"), reports, number, network)
        if not records.done:
            raise RecordError(f"{run} holds no finished candidate yet: let the search go on.")
        return records

    @property
    def settings(self) -> dict[str, Any]:
        return self.run["settings"]

    @cached_property
    def done(self) -> list[Trial]:
        return [trial for trial in self.trials if trial["status"] == "done"]

    @cached_property
    def quality(self) -> str:
        return next(name for name in QUALITY if all(name in trial["scores"] for trial in self.done))

    @cached_property
    def size(self) -> str:
        """The cost that candidates are plotted against: what the search traded off, else the best that is known."""
        known = [name for name in SIZES if all(name in trial["scores"] for trial in self.done)]
        asked = [name for name in self.settings.get("trade_off", []) if name in known]
        return (asked or [name for name in ("latency", "parameters") if name in known])[0]

    @cached_property
    def chosen(self) -> Trial:
        if self.number is None:
            alike = [t for t in self.done if self.network and self.network.is_built_as(t["architecture"])]
            return min(alike, key=self.place, default=self.best)
        found = [trial for trial in self.done if trial["trial"] == self.number]
        if not found:
            raise RecordError(f"The journal holds no finished trial {self.number}: `autobert status` shows the run.")
        return found[0]

    @cached_property
    def best(self) -> Trial:
        return min(self.done, key=self.place)

    @property
    def training(self) -> dict[str, Any] | None:
        """The final training of the model: the run's own, or that of a candidate that was picked afterwards."""
        suffix = "" if self.number is None else f"-{self.number:06d}"
        return self.reports.get(f"training{suffix}") or self.reports.get(f"distillation{suffix}")

    @property
    def unit(self) -> str:
        """Of the loss: with a teacher it has none."""
        if self.settings.get("teacher"):
            return "distillation loss"
        return "nats per masked token" + (
            " and pair of sentences" if self.settings.get("objective") == "mlm+nsp" else ""
        )

    def badness(self, trial: Trial) -> float:
        """The deciding score, lower is better."""
        score = trial["scores"][self.quality]
        return -score if self.quality in MAXIMIZED else score

    def place(self, trial: Trial) -> tuple[float, int]:
        """In the order of all, best first; of equals the earlier one."""
        return self.badness(trial), trial["trial"]

    @cached_property
    def front(self) -> list[Trial]:
        """Candidates that no other beats in quality and size together, smallest first."""
        found: list[Trial] = []
        for trial in sorted(self.done, key=lambda t: (t["scores"][self.size], *self.place(t))):
            if not found or self.badness(trial) < self.badness(found[-1]):
                found.append(trial)
        return found

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Networks beside the search that were judged like its candidates, by name, where the run has any."""
        found = self.reports.get("front", {}).get("baselines", {})
        return {name: scores for name, scores in found.items() if {self.size, self.quality} <= set(scores)}

    @cached_property
    def round_starts(self) -> list[int]:
        """Trials from which on candidates start from weights that have been trained for longer."""
        inherited = [(t["trial"], t["cost"]["inherited_tokens"]) for t in self.done if "inherited_tokens" in t["cost"]]
        return [
            trial for (_, before), (trial, tokens) in zip(inherited, inherited[1:], strict=False) if tokens > before
        ]

    def cost(self, name: str) -> float:
        return sum(trial["cost"].get(name, 0) for trial in self.trials)


def incumbents(records: Records) -> Sequence[Trial]:
    """The best candidate so far, for every finished one."""
    found: list[Trial] = []
    for trial in records.done:
        found.append(trial if not found or records.badness(trial) < records.badness(found[-1]) else found[-1])
    return found


def found_first(names: Iterable[str]) -> list[str]:
    """The order in which a final training's networks are shown."""
    return sorted(names, key=lambda name: (name != "found", name))


def _json(path: Path) -> Any:  # noqa: ANN401 (JSON)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is not there: give the --output-dir of a search.") from error
    except ValueError as error:
        raise RecordError(f"{path} is not JSON ({error}): restore it from a copy.") from error


def _lines(path: Path) -> list[Trial]:
    """A last line without an end is a trial that was never confirmed."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        trials = [json.loads(line) for line in text.split("\n")[:-1]]
    except ValueError as error:
        raise RecordError(f"{path} holds a line that is not JSON ({error}): restore it from a copy.") from error
    for number, trial in enumerate(trials, start=1):
        if not _is_trial(trial):
            raise RecordError(f"{path}, line {number} is no trial: it was changed by hand, restore it from a copy.")
    return trials


def _is_trial(line: Any) -> bool:  # noqa: ANN401 (JSON)
    """Whether everything that is counted or calculated with is there and is a number."""
    try:
        numbers = [line["trial"], *line["scores"].values(), *line["cost"].values()]
        layers = [layer["layer_type"] for layer in line["architecture"]["layers"]]
    except (AttributeError, KeyError, TypeError):
        return False
    has_score = line.get("status") != "done" or any(name in line["scores"] for name in QUALITY)
    return has_score and bool(layers) and all(isinstance(n, int | float) and isfinite(n) for n in numbers)
