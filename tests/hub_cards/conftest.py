"""Finished runs as small as can be: records made up, a network with random weights, a tokenizer of a few words."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizer

import autobert_hf  # noqa: F401 (so that saved models carry their code)
from autobert_hf.hub_cards import card
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import to_bert
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import Goal, Goals
from autobert_hf.records.journal import Journal
from autobert_hf.records.json_files import write_record
from autobert_hf.records.model_folder import save_model
from autobert_hf.records.trial import Proposal, Trial


FORMULAS = ["softmax(q @ k.T / sqrt(d)) @ v", "q @ (softplus(k).T @ v)", "z1 = softsign(p); cosine(z1, z1) @ (v - k)"]
SIZES = {"vocab_size": 40, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 32}
NATS = "nats per masked token"


class MadeRun:
    """Writes `run.json`, `journal.jsonl`, `report/` and `model/` into a folder; each part can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {"method": "autobert-zero", "strategy": "op-nas", "seed": 7, "length": 128}
        self.inputs = {"train": {"train.txt": "0" * 64}, "validation": {"valid.txt": "1" * 64}}
        self.goals = Goals.named("loss", unit=NATS)
        self.trials = journal(30)

    @property
    def done(self) -> list[Trial]:
        """Best first."""
        return self.goals.best(self.trials)

    def write(self) -> None:
        versions = {"python": "3.11.7", "autobert-hf": "0.1.0"}
        write_record(
            self.folder / "run.json", {"settings": self.settings, "inputs": self.inputs, "versions": versions}
        )
        self.report("goals", self.goals.to_json())
        self.write_journal([trial.to_record() for trial in self.trials])

    def write_journal(self, records: list[dict[str, Any]]) -> None:
        (self.folder / "journal.jsonl").unlink(missing_ok=True)
        journal = Journal(self.folder / "journal.jsonl")
        for record in records:
            journal.append(record)

    def write_all(self, model: Path) -> None:
        shutil.copytree(model, self.folder / "model")
        self.write()

    def report(self, name: str, data: dict[str, Any]) -> None:
        write_record(self.folder / "report" / f"{name}.json", data)

    def save(self, stock: bool = False, **config: Any) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoBertForMaskedLM(AutoBertConfig(**{**SIZES, **(config or mixed())})).eval()
            for weights in model.parameters():  # at the usual 0.02 an error hides below the tolerance
                torch.nn.init.normal_(weights, std=0.2)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(35))]
        tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
        save_model(to_bert(model) if stock else model, tokenizer, self.folder / "model")


def mixed() -> dict[str, Any]:
    return {
        "num_hidden_layers": 4,
        "layer_types": ["conv", "full_attention", "hybrid", "full_attention"],
        "per_layer_config": {
            0: {"conv_kernel_size": 9},
            1: {"attention_formula": FORMULAS[1]},
            2: {"qkv_conv_size": 3},
            3: {"attention_formula": FORMULAS[2], "skip": ["feed_forward"]},
        },
    }


def journal(number: int) -> list[Trial]:
    """Trials of four layers in two rounds; every tenth has failed, and after the first ten every tenth was pruned."""
    rng = random.Random(0)
    return [trial(rng, index, number) for index in range(number)]


def trial(rng: random.Random, index: int, number: int) -> Trial:
    layers = [
        {"layer_type": "conv", "conv_kernel_size": rng.choice([3, 9, 31])}
        if rng.random() < 0.5
        else {"layer_type": "full_attention", "attention_formula": rng.choice(FORMULAS)}
        for _ in range(4)
    ]
    is_first = index < number // 2
    parent, origin = (None, "sample") if is_first else (rng.randrange(index // 2 + 1), "mutate")
    proposal = Proposal(Architecture.of(layers), parent, origin)
    parameters, seed, loss = 1000 * rng.randint(900, 1100), rng.getrandbits(56), 6 - index / number + rng.random()
    if index % 10 == 9:
        return Trial(index, proposal, seed, status="failed", reason="the loss is nan")
    is_pruned = index % 10 == 8 and index > 10
    scores = {"loss": 1.0 if is_pruned else loss, "parameters": parameters, "flops": 200 * parameters}
    cost = {"seconds": 2.5, "tokens": 1000, "inherited_tokens": 50 + 25 * (2 * index // number)}
    status, reason = ("pruned", "after step 2") if is_pruned else ("done", "")
    weights, partial = f"round {2 * index // number}", {"2": {"loss": 7.0}}
    return Trial(index, proposal, seed, scores, cost, status, reason, weights, partial)


def own_space(folder: Path, number: int = 8) -> MadeRun:
    """A search in a user's own space with a user's own function: no layers, no text, no method, no model."""
    run = MadeRun(folder)
    run.settings, run.inputs = {"seed": 3, "strategy": "random"}, {}
    run.goals = Goals((Goal("accuracy", "maximize", "trained", "accuracy"),))
    run.trials = [
        Trial(index, Proposal(Architecture.of([], depth=2, width=64 + index)), index, {"accuracy": index % 5 / 10})
        for index in range(number)
    ]
    run.write()
    return run


TRAINING = {
    "curves": {"bert": [[1000, 6.5], [2000, 6.25]], "found": [[1000, 6.125], [2000, 5.75]]},
    "floor": 6.625,
    "inherited_tokens": 0,
    "parameters": {"found": 10_000, "bert": 10_100},
    "unit": NATS,
    "errors": {},
}
LATENCY = {
    name: {
        "ratio": ratio,
        "low": ratio - 0.01,
        "high": ratio + 0.02,
        "reference": "bert-base",
        "runtime": runtime,
        "batch": 1,
        "length": 128,
        "threads": 1,
        "dtype": "float32",
        "machine": "a small machine",
        "predicted": predicted,
    }
    for name, ratio, runtime, predicted in (
        ("this network", 0.482, "eager", 0.5),
        ("the stock model, int8", 0.611, "onnxruntime", None),
        ("a cut", 0.702, "eager", 0.68),
    )
}
ESTIMATE = {"value": 0.71, "low": 0.6, "high": 0.8}
AGREEMENT = {"kendall": ESTIMATE, "spearman": ESTIMATE, "pairwise_accuracy": ESTIMATE}
RANKING = {
    "study": {"seeds": [0, 1], "tokens": 1_000_000},
    "networks": 64,
    "scores": {"inherited": AGREEMENT, "parameters": AGREEMENT},
    "ceiling": AGREEMENT,
    "buckets": {
        "parameters": [
            {"from": 900_000, "to": 1_000_000, "networks": 32, "kendall": {"inherited": ESTIMATE}},
            {"from": 1_000_001, "to": 1_100_000, "networks": 32, "kendall": {"inherited": ESTIMATE}},
        ]
    },
}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = MadeRun(tmp_path_factory.mktemp("model"))
    run.save()
    return run.folder / "model"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of a card's time: the figures are there in name only."""
    for name in ("architecture", "search", "front", "fronts", "training", "predicted"):
        monkeypatch.setattr(card, f"draw_{name}", lambda *data: data[-1].touch())


@pytest.fixture
def made(model: Path, tmp_path: Path) -> MadeRun:
    """Records and a model; nothing in `report/`."""
    run = MadeRun(tmp_path / "run")
    run.write_all(model)
    return run


@pytest.fixture
def full(made: MadeRun) -> MadeRun:
    """With every optional record."""
    made.settings |= {"teacher": "me/teacher", "license": "apache-2.0", "dataset": ""}
    best = made.done[0].id
    for name, data in {f"training-{best:06d}": TRAINING, "latency": LATENCY, "ranking": RANKING}.items():
        made.report(name, data)
    made.write()
    return made
