"""
Small seeded runs in fp32 as they were recorded before all methods stood on one framework: with the recorded scores
the same architectures come out, and the losses of the first steps are the same. What was changed on purpose since is
undone here: each shard of a batch counted alike then, and its items count alike now; candidates were scored once.

Of OP-NAS only what comes before its first guided draw is held to the record, since its draws asked for primitives that
the types forbid: the warm-up and the first population with its trainings.
"""

import json
from pathlib import Path

import pytest
import torch
from transformers import logging

from autobert_hf import api, cli
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.losses.distillation import Distillation
from autobert_hf.lab.losses.masked_words import MaskedWords, sparse_prediction
from autobert_hf.lab.measuring import final_latency, latency_samples
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.machine import machine_name
from autobert_hf.records.journal import read_journal
from autobert_hf.searchers.evaluators import EVALUATORS
from autobert_hf.searchers.evaluators.biws import Biws

from .runner import count_work


RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.glob("recorded/*.json"))}
# Sums may be rounded otherwise, on another processor or in another order, which training makes grow.
RECORDED_ON = "Intel(R) Xeon(R) Processor"
TOLERANCE = 1e-5 if machine_name().startswith(RECORDED_ON) else 1e-4


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "text.txt").write_text("\n\n".join(corpus(120, seed=0)))
    uneven = [" ".join(text.split()[: 2 + 7 * index % 23]) for index, text in enumerate(corpus(240, seed=0))]
    (folder / "uneven.txt").write_text("\n\n".join(uneven))
    return {"text": folder / "text.txt", "uneven": folder / "uneven.txt", "teacher": tiny_teacher}


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Trainer, list[float]]]:
    """Of every training in the order of its first step."""
    found: list[tuple[Trainer, list[float]]] = []
    update = Trainer.update

    def watched(trainer, batch):
        loss = update(trainer, batch)
        if not any(one is trainer for one, _ in found):
            found.append((trainer, []))
        next(values for one, values in found if one is trainer).append(loss)
        return loss

    monkeypatch.setattr(Trainer, "update", watched)
    return found


@pytest.fixture
def shards_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    def masked_words(loss, batch, items, step):
        def losses(network):
            with sparse_prediction(network.config):
                return {"mlm": network(**batch).loss / items["mlm"]}

        return losses

    monkeypatch.setattr(MaskedWords, "forward", masked_words)
    monkeypatch.setattr(MaskedWords, "items", lambda loss, batch: {"mlm": 1})
    monkeypatch.setattr(Distillation, "items", lambda loss, batch: dict.fromkeys(loss.terms, 1))


@pytest.mark.parametrize("name", RECORDED)
def test_a_run_is_what_it_was(name, places, losses, tmp_path, monkeypatch, request):
    before = RECORDED[name]
    logging.set_verbosity_error()
    torch.manual_seed(0)
    for module in (latency_samples, final_latency):
        monkeypatch.setattr(module, "measure_latency", count_work)
    monkeypatch.setattr(api, "write_card", lambda *which: None)
    fixed = {trial["id"]: trial["scores"] for trial in [{"id": i} | t for i, t in enumerate(before["trials"])]}
    with_scores(fixed, monkeypatch)
    scores_of_all_rounds_are_alike(monkeypatch)
    if name.startswith("tiny"):
        request.getfixturevalue("shards_count_alike")
    settings = [part.format(**places) for option in before["settings"].items() for part in option]
    assert cli.main(["search", "--output-dir", str(tmp_path / "run"), *settings]) == 0

    guided = before["settings"].get("--strategy") == "op-nas"
    compared = int(before["settings"]["--population"]) if guided else None
    trials = [record for record in read_journal(tmp_path / "run" / "journal.jsonl") if "trial" in record]
    for field in ("architecture", "parent", "mutation", "status"):
        found, recorded = ([trial[field] for trial in which] for which in (trials, before["trials"]))
        assert found[:compared] == recorded[:compared], field
    assert len(losses) == len(before["losses"])
    for training, (_, values) in [*zip(before["losses"], losses, strict=True)][: compared and compared + 1]:
        expected = before["losses"][training]
        assert values[: len(expected)] == pytest.approx(expected, rel=TOLERANCE), training


def scores_of_all_rounds_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """No candidate is scored again, and each round has batches of its own, also if its weights are the last one's."""
    start_round = Biws.start_round

    def started(biws, number):
        start_round(biws, number)
        biws.version = number

    monkeypatch.setattr(Biws, "start_round", started)
    monkeypatch.setattr(Biws, "weights", lambda biws: "")


def with_scores(scores: dict[int, dict[str, float]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained as ever, but what comes out is the recorded loss."""
    for kind in EVALUATORS.values():
        evaluate = kind.evaluate

        def fixed(evaluator, trial_id, architecture, report, evaluate=evaluate):
            found, cost = evaluate(evaluator, trial_id, architecture, report)
            return {name: scores[trial_id][name] for name in found}, cost

        monkeypatch.setattr(kind, "evaluate", fixed)
