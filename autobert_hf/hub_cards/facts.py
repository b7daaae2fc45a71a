"""The values that card and page print, derived from the records: plain data without wording."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.escape import Safe
from autobert_hf.hub_cards.run_reader import RunRecords, found_first
from autobert_hf.modeling.arithmetic import count_flops
from autobert_hf.records.goals import GOALS
from autobert_hf.records.trainings import FINAL, NEXT_WORDS_UNIT
from autobert_hf.records.trial import Trial


REPO_ID = Safe("PATH_OR_ID")  # placeholder on the card, replaced by the repository's name on a push
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?", re.ASCII)

TEXTS = ("train", "validation")
# Options whose values, where they are paths, are among the inputs and not among the settings.
OPTIONS = {
    "--train-file": "train",
    "--validation-file": "validation",
    "--dataset": "dataset",
    "--teacher": "teacher",
    "--tokenizer": "tokenizer",
    "--latency-reference": "latency reference",
}
FRONT_ROWS = 15
OURS = "this network"  # the name of a run's model in its latency record


def facts(records: RunRecords, network: Network | None) -> dict[str, Any]:
    """All values that the templates print."""
    settings = {name: public(value) for name, value in records.settings.items()}
    return {
        "repo_id": REPO_ID,
        "settings": settings,
        "versions": records.run.get("versions", {}),
        "machine": records.run.get("machine"),
        "inputs": inputs(records),
        "teacher": teacher(records),
        "tokenizer": next(iter(named(records, "tokenizer")), None),
        "network": network,
        "untrained": network is not None and network.is_untrained,
        "flops": count_flops(network.config) if network else None,
        "trials": len(records.trials),
        "rounds": rounds(records),
        "failed": records.count("failed"),
        "pruned": records.count("pruned"),
        "warning": records.reports.get("signal", {}).get("warning", ""),
        "chosen": records.chosen,
        "is_winner": records.chosen is records.study.best,
        "main": records.main,
        "better": "higher" if records.main.direction == "maximize" else "lower",
        "size": records.size,
        "limits": limits(records),
        "axes": records.axes,
        "columns": (*records.axes[1:], records.main),
        "scaled": records.scaled,
        "left_out": sum(not point["kept"] for point in records.again.values()),
        "measured_again": bool(records.again),
        "on_front": records.chosen.id in [trial.id for trial in records.front],
        "front": records.front,
        "front_rows": thinned(records.front, records.chosen),
        "weight_versions": len(records.new_weights) + 1,
        "rescored": len(records.study.rescorings),
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


def rounds(records: RunRecords) -> list[int]:
    """How many candidates each round of shrinking judged, before the last of them were judged again."""
    judged = [row["trials"] for name, row in records.reports.items() if name.startswith("budget-round-")]
    return sorted(judged, reverse=True)


def inputs(records: RunRecords) -> list[dict[str, str]]:
    """Everything that the run has read, with `role`, `name` and `sha256`, which is empty for what is no file here."""
    known = records.run.get("inputs", {}).items()
    return [{"role": role, "name": name, "sha256": sha} for role, named in known for name, sha in named.items()]


def named(records: RunRecords, role: str) -> list[str]:
    """The names of a role's inputs; of a folder's files, the folder's."""
    rows = [row for row in inputs(records) if row["role"] == role]
    folders = {row["name"]: row["name"].split("/")[0] if row["sha256"] else row["name"] for row in rows}
    return [*folders] if role in TEXTS else list(dict.fromkeys(folders.values()))


def public(setting: Any) -> Any:  # noqa: ANN401 (any setting)
    """A setting as it may be published: only the last part of a path, since the others identify a machine."""
    if isinstance(setting, list):
        return [public(item) for item in setting]
    # os.path.exists, as Path.exists raises for a string that is too long for a name.
    is_path = isinstance(setting, str) and (setting.startswith(("/", "~", ".")) or os.path.exists(setting))
    return Path(setting).name if is_path else setting


def teacher(records: RunRecords) -> dict[str, Any] | None:
    """
    The teacher's name, the inputs that are its `weights`, and its `id` if it may be an id on the Hub; None without a
    teacher.
    """
    given = records.settings.get("teacher") or ""
    is_id = public(given) == given and HUB_ID.fullmatch(given)
    names = [Path(given).name if public(given) != given else given] if given else named(records, "teacher")
    files = [row for row in inputs(records) if row["role"] == "teacher" and row["sha256"]]
    weights = [row for row in files if Path(row["name"]).suffix in (".safetensors", ".bin")]
    return {"name": names[0], "weights": weights} | ({"id": given} if is_id else {}) if names else None


def thinned(front: list[Trial], chosen: Trial) -> list[Trial]:
    """About FRONT_ROWS trials of the front, evenly spaced, with both ends and the chosen one."""
    step = -(-len(front) // FRONT_ROWS)
    return [t for place, t in enumerate(front) if place % step == 0 or t is front[-1] or t.id == chosen.id]


def limits(records: RunRecords) -> list[tuple[str, str, float]]:
    """The limits of the search as (score, `at most` or `at least`, value)."""
    asked = records.study.goals.limits
    most = [(name, "at most", value) for name, value in asked.most.items()]
    return most + [(name, "at least", value) for name, value in asked.least.items()]


def other_scores(records: RunRecords) -> dict[str, float]:
    """Scores of the chosen candidate other than goals and standard scores, e.g. those of single tasks."""
    known = {*GOALS, *(goal.name for goal in records.study.goals.goals)}
    return {name: score for name, score in records.chosen.scores.items() if name not in known}


def cost(records: RunRecords) -> dict[str, float | None]:
    """Seconds and tokens of all candidates, and training tokens of the shared weights before the search."""
    trainings = records.reports.get("trainings", {})
    shared = sum(row["tokens"] for name, row in trainings.items() if not name.startswith(FINAL)) or None
    return {"seconds": records.cost("seconds"), "tokens": records.cost("tokens"), "shared": shared}


def training(records: RunRecords) -> dict[str, Any] | None:
    """
    The final training: networks by name, and a row for each token count at which all were evaluated. `floor`: the loss
    of token frequencies alone; `linear_floor`: the error of a linear map, comparable with `errors`. Either may be
    None.
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
        "perplexity": _perplexity(curves["found"][max(curves["found"])], data["unit"]),
        "floor": data.get("floor"),
        "linear_floor": data.get("linear_floor"),
        "errors": data.get("errors", {}),
        "inherited": data.get("inherited_tokens", 0),
    }


def _perplexity(loss: float, unit: str) -> float | None:
    """Of causal language models; None for other losses."""
    return math.exp(loss) if unit == NEXT_WORDS_UNIT else None


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
    """A row for each network timed against a reference; `this network` is the one described by the card."""
    optional = {"predicted": None, "machine": None, "busy": False}
    rows = records.reports.get("latency", {}).items()
    return [optional | row | {"name": _seen_from(records.chosen.id, name, row)} for name, row in rows]


def baselines(records: RunRecords) -> dict[str, Any] | None:
    """The network and its baselines: the latency `limit`, and rows with `time` and `sentence_error` if known."""
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


def command(records: RunRecords, settings: Mapping[str, Any]) -> list[tuple[str, list[Any]]]:
    """
    Options and values of a command that repeats the search, with inputs by their names. Empty for a run that cannot be
    started by a command: a search by a function, or by a user-defined method, which has code of its own.
    """
    if not settings.get("method") or records.run.get("code"):
        return []
    options: dict[str, list[Any]] = {option: named(records, role) for option, role in OPTIONS.items()}
    options["--num-trials"] = [len(records.trials)]
    for name, value in settings.items():
        options[f"--{name.replace('_', '-')}"] = value if isinstance(value, list) else [value]
    empty: tuple[list[Any], ...] = ([], [""], [None])
    return [(name, values) for name, values in options.items() if values not in empty]
