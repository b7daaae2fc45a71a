"""What card and page say, worked out from the records: plain values, no words, nothing that is not known."""

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.escape import Safe
from autobert_hf.hub_cards.run_reader import RunRecords, found_first
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.records.goals import GOALS
from autobert_hf.records.trial import Trial


REPO_ID = Safe("PATH_OR_ID")  # stands on the card where a push writes the repository's name
SHA256 = re.compile(r"[0-9a-f]{64}")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?", re.ASCII)

FRONT_ROWS = 15
OURS = "this network"  # the name of a run's model in its latency record


def facts(records: RunRecords, network: Network | None) -> dict[str, Any]:
    """Everything that the templates print."""
    settings = {name: public(value) for name, value in records.settings.items()}
    return {
        "repo_id": REPO_ID,
        "settings": settings,
        "versions": records.run.get("versions", {}),
        "machine": records.run.get("machine"),
        "inputs": inputs(records),
        "held_out": text_files(records)[1],
        "teacher": teacher(records.settings),
        "network": network,
        "flops": count_flops(network.config) if network else None,
        "trials": len(records.trials),
        "failed": records.count("failed"),
        "pruned": records.count("pruned"),
        "chosen": records.chosen,
        "is_winner": records.chosen is records.study.best,
        "main": records.main,
        "better": "higher" if records.main.direction == "maximize" else "lower",
        "size": records.size,
        "limits": limits(records),
        "front": records.front,
        "front_rows": thinned(records.front, records.chosen),
        "weight_versions": len(records.new_weights) + 1,
        "other_scores": other_scores(records),
        "cost": cost(records),
        "training": training(records),
        "ranking": ranking(records.reports.get("ranking")),
        "latency": latency(records),
        "baselines": baselines(records),
        "predictor": records.reports.get("predictor"),
        "accepted": accepted(records.reports.get("draws")),
        "command": command(records, settings),
    }


def inputs(records: RunRecords) -> list[dict[str, Any]]:
    return [
        {"name": name, "sha256": what} if SHA256.fullmatch(str(what)) else {"name": name, "what": what}
        for name, what in records.run.get("inputs", {}).items()
    ]


def public(setting: Any) -> Any:  # noqa: ANN401 (any setting)
    """A setting as it may be shown: of a file or folder its last part, since the others say something of a machine."""
    if isinstance(setting, list):
        return [public(item) for item in setting]
    is_path = isinstance(setting, str) and (setting.startswith(("/", "~", ".")) or Path(setting).exists())
    return Path(setting).name if is_path else setting


def teacher(settings: Mapping[str, Any]) -> dict[str, str] | None:
    """Its name, and its `id` where that can be one of the Hub."""
    given = settings.get("teacher") or ""
    if not given:
        return None
    if public(given) != given:
        return {"name": Path(given).name}
    return {"name": given} | ({"id": given} if HUB_ID.fullmatch(given) else {})


def thinned(front: list[Trial], chosen: Trial) -> list[Trial]:
    """At most about FRONT_ROWS of them, evenly, with both ends and the chosen one."""
    step = -(-len(front) // FRONT_ROWS)
    return [t for place, t in enumerate(front) if place % step == 0 or t is front[-1] or t is chosen]


def limits(records: RunRecords) -> list[tuple[str, str, float]]:
    """What the search was told to keep within: score, `at most` or `at least`, value."""
    asked = records.study.goals.limits
    most = [(name, "at most", value) for name, value in asked.most.items()]
    return most + [(name, "at least", value) for name, value in asked.least.items()]


def other_scores(records: RunRecords) -> dict[str, float]:
    """Scores of the chosen candidate beyond the goals and the usual ones, e.g. those of single tasks."""
    known = {*GOALS, *(goal.name for goal in records.study.goals.goals)}
    return {name: score for name, score in records.chosen.scores.items() if name not in known}


def cost(records: RunRecords) -> dict[str, float | None]:
    """Seconds and tokens of all candidates, and the tokens of the shared weights before the first of them."""
    inherited = [trial.cost["inherited_tokens"] for trial in records.done if "inherited_tokens" in trial.cost]
    sizes = [records.settings.get(name) or 0 for name in ("supernet_steps", "batch_size", "length")]
    shared = prod(sizes) or min(inherited, default=None)
    return {"seconds": records.cost("seconds"), "tokens": records.cost("tokens"), "shared": shared}


def training(records: RunRecords) -> dict[str, Any] | None:
    """
    The final training: networks by name, and a row for each token count at which all were measured. `floor` is the
    loss of word frequencies alone, `linear_floor` the error of a linear map, which `errors` stand beside; either may
    be missing.
    """
    data = records.training
    if data is None:
        return None
    curves = {name: dict(data["curves"][name]) for name in found_first(data["curves"])}
    shared = [tokens for tokens in curves["found"] if all(tokens in curve for curve in curves.values())]
    return {
        "names": list(curves),
        "unit": data["unit"],
        "parameters": data["parameters"],
        "rows": [(int(tokens), [curve[tokens] for curve in curves.values()]) for tokens in shared],
        "tokens": int(max(curves["found"])),
        "loss": curves["found"][max(curves["found"])],
        "floor": data.get("floor"),
        "linear_floor": data.get("linear_floor"),
        "errors": data.get("errors", {}),
        "inherited": data.get("inherited_tokens", 0),
    }


def ranking(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Rank agreement of cheap scores with stand-alone training, as `autobert analyze ranking` writes it."""
    if data is None:
        return None
    return {
        "networks": data["networks"],
        "seeds": data["study"]["seeds"],
        "tokens": data["study"]["tokens"],
        "scores": data["scores"],
        "ceiling": data["ceiling"],
        "buckets": data["buckets"].get("parameters", []),
    }


def latency(records: RunRecords) -> list[dict[str, Any]]:
    """A row for each network that was timed against a reference. `this network` is the one that the card is about."""
    optional = {"predicted": None, "machine": None, "busy": False}
    rows = records.reports.get("latency", {}).items()
    return [optional | row | {"name": _seen_from(records.chosen.id, name, row)} for name, row in rows]


def baselines(records: RunRecords) -> dict[str, Any] | None:
    """The network and what it has to beat: `limit` of their time, rows with `time` and `sentence_error` if known."""
    number = records.chosen.id
    found = records.reports.get("baselines", {}).get(str(number))
    if found is None:
        return None
    rows = [
        {"sentence_error": None} | row | {"name": _seen_from(number, name, row)}
        for name, row in found["networks"].items()
    ]
    return {"limit": found["limit"], "rows": rows}


def _seen_from(number: int, name: str, row: Mapping[str, Any]) -> str:
    if name == f"trial {number}":
        return OURS
    is_other = name == OURS and row.get("trial", number) != number
    return f"trial {row['trial']}" if is_other else name


def accepted(draws: Mapping[str, int] | None) -> dict[str, Any] | None:
    """How many of the formulas drawn at random were legal."""
    total = sum((draws or {}).values())
    return {"drawn": total, "share": (draws or {}).get("accepted", 0) / total} if total else None


def text_files(records: RunRecords) -> tuple[list[str], list[str]]:
    """Names for training and held out. The records do not tell them apart, so that a name has to."""
    files = [row["name"] for row in inputs(records) if "sha256" in row and not row["name"].startswith("teacher ")]
    held_out = [name for name in files if "valid" in name.lower() and len(files) > 1]
    return [name for name in files if name not in held_out], held_out


def command(records: RunRecords, settings: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    """
    The search again, option by option; inputs by their names. Nothing for a run that no command has started: by a
    function, or by a method of a user's own, whose code is among the inputs.
    """
    if not settings.get("method") or settings["method"] in records.run.get("inputs", {}):
        return []
    train, held_out = text_files(records)
    options: dict[str, list[Any]] = {
        "--train-file": train,
        "--validation-file": held_out,
        "--num-trials": [len(records.trials)],
    }
    for name, value in settings.items():
        options[f"--{name.replace('_', '-')}"] = value if isinstance(value, list) else [value]
    empty: tuple[list[Any], ...] = ([], [""], [None])
    return [(name, values) for name, values in options.items() if values not in empty]
