"""`autobert measure MODEL...`: latency of encoders relative to a reference, from paired times."""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, BertConfig, PreTrainedConfig, PreTrainedModel

from autobert_hf.commands.variants import load_config
from autobert_hf.lab.data.inputs import public_name
from autobert_hf.lab.measuring.latency import latency_row, measure_latency
from autobert_hf.lab.measuring.model_cost import model_cost
from autobert_hf.lab.measuring.paired_times import BUSY, PATIENCE
from autobert_hf.lab.measuring.workload import DTYPES, PRECISIONS, LatencyError, Workload
from autobert_hf.lab.own_code import NOT_RUN, own_code_refused
from autobert_hf.modeling.zoo import ZOO
from autobert_hf.records import model_folder
from autobert_hf.records.json_files import write_json, write_record
from autobert_hf.records.model_folder import loading
from autobert_hf.records.run_folder import RunFolder


FOUND = "this network"  # name of a run's model on cards


def measure_command(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    logging.getLogger("transformers").setLevel(logging.ERROR)  # hides warnings about unused heads and poolers
    models = _models(given)
    reference = load_encoder(given.reference) if given.reference else bert_base()
    name = public_name(given.reference) if given.reference else "BERT-base"
    sizes = {key: getattr(given, key) for key in ("batch", "length", "threads", "device")}
    workload = Workload(runtime=given.runtime, precision=given.precision, **sizes)
    theirs = Workload(
        runtime=given.reference_runtime or given.runtime,
        precision=given.reference_precision or given.precision,
        **sizes,
    )
    if theirs != workload:
        name = f"{name} ({theirs.runtime}, {theirs.dtype})"
    ratios = measure_latency(models, reference, workload, theirs, given.rounds, given.error)
    costs = {model: model_cost(network, Workload(given.batch, given.length)) for model, network in models.items()}
    rows = {model: latency_row(ratio, name, workload, **costs[model]) for model, ratio in ratios.items()}
    print("\n".join(table(rows)))
    if given.output:
        write_json(given.output, rows)
    if given.run:
        record(given.run, {public_name(model): row for model, row in rows.items()})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autobert measure", allow_abbrev=False, description=__doc__)
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="Folder, Hub id, or name of the zoo (random weights).")
    add("--reference", help="Folder, Hub id or name of the zoo. Default: BERT-base with random weights.")
    add("--runtime", choices=[*PRECISIONS], default="eager", help="Plain torch (eager), or onnxruntime.")
    add("--precision", choices=[*DTYPES], default="no", help="no: fp32; bf16 in torch; int8 in onnxruntime.")
    add("--reference-runtime", choices=[*PRECISIONS], help="Default: as --runtime.")
    add("--reference-precision", choices=[*DTYPES], help="Default: as --precision.")
    add("--batch", type=int, default=1, help="Rows in a batch.")
    add("--length", type=int, default=128, help="Tokens in a row.")
    add("--threads", type=int, default=1, help="1: processor time; more: wall time, which other work disturbs.")
    add("--device", default="cpu", help="cpu, or cuda (timed by events).")
    add("--rounds", type=int, default=12, help=f"Minimum; up to {PATIENCE} times as many to reach --error.")
    add("--error", type=float, default=0.02, help="Largest standard error of a ratio, relative to it.")
    add("--run", type=Path, help="Folder of a search: its model is measured too, and its card will show the results.")
    add("--output", type=Path, help="JSON file for the results.")
    return parser


def _models(given: argparse.Namespace) -> dict[str, PreTrainedModel]:
    if given.rounds < 2:
        raise LatencyError("--rounds must be at least 2: one round has no spread.")
    found = {}
    if given.run:
        RunFolder(given.run).read("run.json")
        found[FOUND] = load_encoder(str(given.run / "model"))
    found |= {name: load_encoder(name) for name in given.models}
    names = [public_name(name) for name in found]
    if given.run and (twice := sorted({name for name in names if names.count(name) > 1})):
        raise LatencyError(f"Two of the models are called {twice[0]}, as the card of --run names them: rename one.")
    if not found:
        raise LatencyError("Nothing to measure: give a folder, a Hub id or a name of `autobert zoo`, or --run.")
    return found


def bert_base() -> PreTrainedModel:
    return _untrained(BertConfig())


def load_encoder(source: str) -> PreTrainedModel:
    """
    An encoder in fp32 without pooler; with random weights for a name of the zoo or a folder without weights. The
    precision that is timed is that of the workload, whatever the file's.
    """
    if source in ZOO:
        return _untrained(load_config(source))
    folder = Path(source)
    if folder.is_dir() and not [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        with own_code_refused(source, NOT_RUN), loading(source):
            return _untrained(AutoConfig.from_pretrained(source, trust_remote_code=False))
    with own_code_refused(source, NOT_RUN):
        return model_folder.load_encoder(source)


def _untrained(config: PreTrainedConfig) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return AutoModel.from_config(config, dtype=torch.float32, add_pooling_layer=False)
        except TypeError:
            return AutoModel.from_config(config, dtype=torch.float32)


def table(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line per model, the conditions, and a warning if other work disturbed the measurement."""
    width = max(len(name) for name in ("model", *rows)) + 2
    heads = (("time", 8), ("quartiles", 16), ("wall", 8), ("M params", 10), ("GFLOPs", 9), ("MB", 8))
    lines = [f"{'model':<{width}}" + "".join(f"{head:>{size}}" for head, size in heads)]
    for name, row in rows.items():
        quartiles = f"{row['low']:.3f}-{row['high']:.3f}"
        sizes = f"{row['parameters'] / 1e6:>10.2f}{row['flops'] / 1e9:>9.3f}{row['memory'] / 1e6:>8.1f}"
        lines.append(f"{name:<{width}}{row['ratio']:>8.3f}{quartiles:>16}{row['wall']:>8.3f}{sizes}")
    some = next(iter(rows.values()))
    lines.append(
        f"Times over {some['reference']}: {some['runtime']}, {some['dtype']}, {some['batch']} x {some['length']} "
        f"tokens, {some['threads']} thread(s), {some['machine']}. MB: weights and live tensors, fp32 in torch."
    )
    if any(row["busy"] for row in rows.values()):
        lines.append(f"Warning: wall time was over {BUSY} times processor time: the machine is busy with other work.")
    return lines


def record(run: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds the rows to the run's report/latency.json and keeps the predictions of the search."""
    path = run / "report" / "latency.json"
    before = RunFolder(run).read("report/latency.json") if path.exists() else {}
    new = {name: {**row, "predicted": before.get(name, {}).get("predicted")} for name, row in rows.items()}
    write_record(path, before | new)
    print(f"{path}: `autobert report {run}` shows it.")
