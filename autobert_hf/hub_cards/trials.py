"""The search log as a data set: a trial a row, as parquet, with a card."""

import io
import json
from typing import Any

from huggingface_hub import DatasetCardData

from autobert_hf.hub_cards.card import identifier
from autobert_hf.hub_cards.escape import Safe, code, markdown, one_line
from autobert_hf.hub_cards.run_reader import Records, Trial
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.variants import write_layers


FILE = "trials.parquet"
COLUMNS = {
    "trial": "number in the order of the search",
    "parent": "the trial whose architecture was changed, none for a random one",
    "mutation": "where the architecture comes from",
    "seed": "of every random draw of this trial",
    "status": "`done` or `failed`",
    "reason": "why it failed",
    "config": "the network as the JSON of an AutoBertConfig",
}


def dataset_files(records: Records, config: AutoBertConfig, repo_id: str, model_id: str) -> dict[str, bytes]:
    """
    The files of a dataset repository. `config` holds what the search left alone: that of any network it found.
    """
    rows = [row(trial, config) for trial in records.trials]
    scores = [name for name in {name: None for found in rows for name in found} if name not in COLUMNS]
    return {FILE: parquet(rows, scores), "README.md": card(records, scores, repo_id, model_id).encode()}


def row(trial: Trial, base: AutoBertConfig) -> dict[str, Any]:
    """Scores and costs are columns of their own, `score_loss`, `cost_seconds` and the like."""
    layers = [dict(layer) for layer in trial["architecture"]["layers"]]
    config = write_layers(
        base, [(layer.pop("layer_type"), layer) for layer in layers], **trial["architecture"]["settings"]
    )
    return (
        {name: trial[name] for name in COLUMNS if name != "config"}
        | {"config": json.dumps(config.to_dict(), sort_keys=True)}
        | {f"score_{one_line(name)}": value for name, value in trial["scores"].items()}
        | {f"cost_{one_line(name)}": value for name, value in trial["cost"].items()}
    )


def parquet(rows: list[dict[str, Any]], numbers: list[str]) -> bytes:
    from datasets import Dataset, Features, Value  # slow to import, and needed here alone

    kinds = {"trial": "int64", "parent": "int64", "seed": "int64"}
    features = {name: Value(kinds.get(name, "string")) for name in COLUMNS} | {
        name: Value("float64") for name in numbers
    }
    columns = {name: [found.get(name) for found in rows] for name in features}
    file = io.BytesIO()
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)
    return file.getvalue()


def card(records: Records, scores: list[str], repo_id: str, model_id: str) -> str:
    data = DatasetCardData(
        license=identifier(records.settings.get("license")),
        tags=["autobert", "neural-architecture-search"],
        configs=[{"config_name": "default", "data_files": FILE}],
    )
    return markdown(
        "dataset_card.md",
        metadata=Safe(data.to_yaml()),
        columns={name: Safe(what) for name, what in COLUMNS.items()} | {name: _meaning(name) for name in scores},
        repo_id=Safe(repo_id),
        model_id=Safe(model_id),
        settings=records.settings,
        trials=len(records.trials),
        failed=len(records.trials) - len(records.done),
        versions=records.run["versions"],
    )


def _meaning(name: str) -> Safe:
    kind, _, what = name.partition("_")
    known = {
        "loss": "held-out loss after the short training, nats per masked token",
        "parameters": "of the masked language model",
        "flops": "of one row of 128 tokens",
        "seconds": "of the trial, on one process",
        "tokens": "that the trial was trained on",
        "inherited_tokens": "that the weights it started from had been trained on",
    }
    return Safe(known[what]) if what in known else Safe(f"{kind} {code(what)}")
