"""The search log as a data set: one trial per row, as parquet, with a card."""

import io
import json
from typing import Any

from huggingface_hub import DatasetCardData

from autobert_hf.hub_cards.card import identifier
from autobert_hf.hub_cards.escape import Safe, code, markdown, one_line, plain
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.goals import GOALS
from autobert_hf.records.trial import Trial


FILE = "trials.parquet"
COLUMNS = {
    "trial": "number in the order of the search",
    "parent": "the trial whose architecture was mutated, none for a random one",
    "mutation": "where the architecture comes from",
    "seed": "the seed of all random draws of the trial",
    "status": "`done`, `failed`, or `pruned` (stopped early)",
    "reason": "why it failed or was pruned",
    "weights": "version of the shared weights that it was scored with",
    "partial": "its intermediate scores by step, as JSON",
    "architecture": "the searched part of the network, as JSON",
    "config": "the network as the JSON of an AutoBertConfig",
}


def dataset_files(records: RunRecords, config: AutoBertConfig, repo_id: str, model_id: str) -> dict[str, bytes]:
    """
    The files of a dataset repository. `config`: that of any found network, for the part that is not searched.
    """
    rows = [row(trial, config) for trial in records.trials]
    names = list({**dict.fromkeys(COLUMNS), **{name: None for found in rows for name in found}})
    if not any("config" in found for found in rows):
        names.remove("config")
    return {FILE: parquet(rows, names), "README.md": card(records, names, repo_id, model_id).encode()}


def row(trial: Trial, base: AutoBertConfig) -> dict[str, Any]:
    """
    One row. Scores and costs have their own columns, such as `score_loss` and `cost_seconds`. A trial without layers,
    as in a user-defined space, has no `config`.
    """
    record = trial.to_record()
    scores, cost = record.pop("scores"), record.pop("cost")
    return (
        record
        | {name: json.dumps(record[name], sort_keys=True) for name in ("partial", "architecture")}
        | ({"config": config_json(trial, base)} if trial.architecture.layers else {})
        | {f"score_{one_line(name)}": value for name, value in scores.items()}
        | {f"cost_{one_line(name)}": value for name, value in cost.items()}
    )


def config_json(trial: Trial, base: AutoBertConfig) -> str:
    return json.dumps(trial.architecture.to_config(base).to_dict(), sort_keys=True)


def parquet(rows: list[dict[str, Any]], names: list[str]) -> bytes:
    from datasets import Dataset, Features, Value  # slow to import, and only needed here

    kinds = dict.fromkeys(COLUMNS, "string") | dict.fromkeys(("trial", "parent", "seed"), "int64")
    features = {name: Value(kinds.get(name, "float64")) for name in names}
    columns = {name: [found.get(name) for found in rows] for name in names}
    file = io.BytesIO()
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)
    return file.getvalue()


def card(records: RunRecords, names: list[str], repo_id: str, model_id: str) -> str:
    data = DatasetCardData(
        license=identifier(records.settings.get("license")),
        tags=["autobert", "neural-architecture-search"],
        configs=[{"config_name": "default", "data_files": FILE}],
    )
    return markdown(
        "dataset_card.md",
        metadata=Safe(data.to_yaml()),
        columns={name: _meaning(name, records) for name in names},
        best_by=f"score_{one_line(records.main.name)}",
        main=records.main,
        repo_id=Safe(repo_id),
        model_id=Safe(model_id),
        settings=records.settings,
        trials=len(records.trials),
        failed=records.count("failed"),
        pruned=records.count("pruned"),
        has_versions=bool(records.new_weights),
        versions=records.run["versions"],
    )


def _meaning(column: str, records: RunRecords) -> Safe:
    kind, _, name = column.partition("_")
    goals = {f"score_{one_line(goal.name)}": goal for goal in (*GOALS.values(), *records.study.goals.goals)}
    known = COLUMNS | {
        "score_parameters": "parameters of the masked language model",
        "cost_seconds": "seconds of the trial, on one process",
        "cost_tokens": "tokens that the trial was trained on",
        "cost_inherited_tokens": "tokens that its initial weights had been trained on",
    }
    if column in known:
        return Safe(known[column])
    if column in goals:
        return plain(", ".join(filter(None, (goals[column].label, goals[column].unit))))
    return Safe(f"{kind} {code(name)}")
