"""The model card of a finished run, from the run's records alone."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Environment, StrictUndefined

from autobert_hf.hub_cards.figures import draw_search, draw_training


def write_card(run: Path) -> None:
    """Figures into `report/` and beside the model, README.md into `model/`."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    training = json.loads((run / "report" / "training.json").read_text(encoding="utf-8"))
    trials = [json.loads(line) for line in (run / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    draw_search(trials, run / "model" / "search.png")
    draw_training(training, run / "model" / "training.png")
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="fill-mask",
        tags=["autobert", "neural-architecture-search"],
    )
    template = files("autobert_hf.hub_cards").joinpath("model_card.md").read_text(encoding="utf-8")
    text = Environment(undefined=StrictUndefined, autoescape=False).from_string(template)  # noqa: S701 (Markdown)
    body = text.render(metadata=data.to_yaml(), **facts(record, training, trials, config))
    ModelCard(body, ignore_metadata_errors=False).save(run / "model" / "README.md")


def facts(
    record: dict[str, Any], training: dict[str, Any], trials: list[dict[str, Any]], config: dict[str, Any]
) -> dict[str, Any]:
    done = [trial for trial in trials if trial["status"] == "done"]
    best = min(done, key=lambda trial: (trial["scores"]["loss"], trial["trial"]))
    return {
        "settings": record["settings"],
        "versions": record["versions"],
        "inputs": record["inputs"],
        "trials": len(trials),
        "failed": len(trials) - len(done),
        "hours": sum(trial["cost"].get("seconds", 0) for trial in trials) / 3600,
        "best": best,
        "layers": best["architecture"]["layers"],
        "parameters": training["parameters"],
        "floor": training["floor"],
        "rows": _curve_rows(training["curves"]),
        "hidden_size": config["hidden_size"],
    }


def _curve_rows(curves: dict[str, list[list[float]]]) -> list[dict[str, float]]:
    """Token counts at which both networks were measured."""
    bert = {point[0]: point[1] for point in curves["bert"]}
    return [{"tokens": t, "found": loss, "bert": bert[t]} for t, loss in curves["found"] if t in bert]
