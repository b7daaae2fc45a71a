"""Every baseline is a network that answers, within the limit that it is given."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from autobert_hf.lab.distilling.sentence_vectors import SentenceVectors
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.baselines import BASELINES
from autobert_hf.searchers.supernets import SlicedSupernet

from .world import TINY, World


LIMIT = 0.6


def latency(architecture: Architecture) -> float:
    return len(architecture.layers) / 4 + dict(architecture.settings)["hidden_size"] / 100


def from_supernet(world: World, architecture: Architecture | None) -> Any:
    assert architecture is not None
    assert latency(architecture) <= LIMIT
    return SlicedSupernet(TINY, world.network(world.loss("paper"))).extract(architecture)


def bert(world: World) -> Any:
    found = TINY.smallest().to_config(world.base)
    config = BASELINES["bert"](world.base, found)
    other = BASELINES["bert"](world.base, TINY.largest().to_config(world.base))
    assert count_parameters(config) < count_parameters(other)
    return world.loss("paper").network(config)


def scaled(world: World) -> Any:
    one, two, three = (one.to_config(world.base) for one in BASELINES["scaled in depth"](24, [1, 2, 3], heads=4))
    assert count_parameters(three) - count_parameters(two) == count_parameters(two) - count_parameters(one) > 0
    assert {layer.intermediate_size for _, layer in two.layers()} == {96}
    return world.loss("paper").network(two)


CASES: dict[str, Callable[[World], Any]] = {
    "bert": bert,
    "default rule": lambda world: from_supernet(world, BASELINES["default rule"](TINY, latency, LIMIT, latency)),
    "cut": lambda world: from_supernet(world, BASELINES["cut"](TINY, latency, LIMIT)),
    "scaled in depth": scaled,
    "teacher in int8": lambda world: BASELINES["teacher in int8"](world.teacher.model),
    "static table": lambda world: BASELINES["static table"](
        world.teacher.model, [world.batch("texts")], world.tokenizer.all_special_ids
    ),
}


def test_no_baseline_is_left_out() -> None:
    assert set(CASES) == set(BASELINES)


@pytest.mark.parametrize("name", CASES)
def test_baselines(world: World, name: str) -> None:
    batch = world.batch("texts")
    with torch.no_grad():
        hidden = CASES[name](world).eval()(**batch).last_hidden_state
    assert hidden.shape[:2] == batch["input_ids"].shape
    assert hidden[batch["attention_mask"].bool()].isfinite().all()
    assert hidden.std() > 0


def test_a_static_table_gives_its_mean_to_any_pooling(world: World) -> None:
    """That of [CLS] alone would be the same for all texts."""
    table, batch = CASES["static table"](world), world.batch("texts")
    hidden, real = table(**batch).last_hidden_state, batch["attention_mask"].bool()
    for mode in ("cls", "mean", "lasttoken"):
        torch.testing.assert_close(SentenceVectors((mode,)).pooled(hidden, real), table.pool(batch))
