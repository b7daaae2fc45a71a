"""A network in order computes what it did, and its slices lose less than those of one that is not."""

import pytest
import torch
from hypothesis import given, settings

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.modeling.formula import STANDARD_ATTENTION
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.modeling.slicing import Cut, SlicingError
from autobert_hf.modeling.subnetwork import Sliceable

from .slicing_cases import IDS, MASK, enlarged, large_configs


BATCH = {"input_ids": IDS, "attention_mask": MASK}


def ordered(config: AutoBertConfig, seed: int = 0) -> tuple[AutoBertModel, AutoBertModel]:
    before, after = (enlarged(AutoBertModel(config, add_pooling_layer=False), seed) for _ in range(2))
    after.load_state_dict(before.state_dict())
    order_by_use(after, [BATCH])
    return before, after


@given(config=large_configs())
@settings(max_examples=20, deadline=None)
def test_the_network_computes_what_it_did(config: AutoBertConfig) -> None:
    config.attention_formula = STANDARD_ATTENTION
    before, after = ordered(AutoBertConfig.from_dict(config.to_dict()))
    with torch.no_grad():
        one, other = (model(**BATCH).last_hidden_state[MASK.bool()] for model in (before, after))
    assert one.std() > 0.01
    # features come in another order, the same for all tokens
    where = torch.cdist(one.T.double(), other.T.double()).argmin(1)
    assert sorted(where.tolist()) == list(range(config.hidden_size))
    torch.testing.assert_close(one, other[:, where], atol=2e-4, rtol=2e-4)


def test_what_comes_first_is_used_most() -> None:
    config = AutoBertConfig(
        vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=40
    )
    _, model = ordered(config)
    seen: dict[str, torch.Tensor] = {}
    for index, layer in enumerate(model.encoder.layers):
        for name, module in {"value": layer.mixer.value, "neurons": layer.feed_forward.activation}.items():
            module.register_forward_hook(
                lambda m, i, out, key=(index, name): seen.update({key: out[MASK.bool()].square().mean(0)})
            )
    with torch.no_grad():
        model.eval()(**BATCH)
    for index, layer in enumerate(model.encoder.layers):
        neurons = seen[index, "neurons"] * layer.feed_forward.output.dense.weight.square().sum(0)
        assert neurons.tolist() == sorted(neurons.tolist(), reverse=True)
        for values in seen[index, "value"].unflatten(0, (2, 12)):
            assert values.tolist() == pytest.approx(sorted(values.tolist(), reverse=True), rel=1e-3)


def test_slices_lose_less() -> None:
    """In a network whose features differ in use, as pretrained ones do: in most of five of them, and in the mean."""
    config = AutoBertConfig(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    errors = []
    for seed in range(5):
        model, after = AutoBertModel(config, add_pooling_layer=False).eval(), None
        uneven(enlarged(model, seed), seed)
        after = AutoBertModel(config, add_pooling_layer=False).eval()
        after.load_state_dict(model.state_dict())
        order_by_use(after, [BATCH])
        errors.append([loss_of_narrowing(network) for network in (model, after)])
    plain, sorted_ = torch.tensor(errors).T
    assert (sorted_ < plain).sum() >= 4
    assert sorted_.mean() < 0.8 * plain.mean()


def uneven(model: AutoBertModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.encoder.layers:
            for module in (layer.mixer.query, layer.mixer.key, layer.mixer.value, layer.feed_forward.intermediate):
                module.weight *= torch.rand(len(module.weight), 1, generator=generator).pow(4) * 3


@torch.no_grad()
def loss_of_narrowing(model: AutoBertModel) -> float:
    """Mean squared change of the last states where heads and neurons are halved."""
    small = model.config.to_dict() | {"head_dim": 8, "intermediate_size": 32, "per_layer_config": {}}
    part = Sliceable(model).extract(Cut.of(AutoBertConfig.from_dict(small)))
    whole, narrow = (network(**BATCH).last_hidden_state[MASK.bool()] for network in (model, part))
    return (whole - narrow).square().mean().item()


def test_a_silent_head_is_no_trouble() -> None:
    config = AutoBertConfig(vocab_size=30, hidden_size=12, num_hidden_layers=1, num_attention_heads=3)
    model = AutoBertModel(config)
    with torch.no_grad():
        for name in ("query", "key", "value"):
            getattr(model.encoder.layers[0].mixer, name).weight[:4] = 0
    order_by_use(model, [BATCH])
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_network_that_a_rotation_would_change_is_refused() -> None:
    config = AutoBertConfig(vocab_size=30, hidden_size=12, num_hidden_layers=2, num_attention_heads=3)
    formula = AutoBertConfig.from_dict(config.to_dict() | {"attention_formula": "softsign(q @ k.T) @ v"})
    conv = AutoBertConfig.from_dict(config.to_dict() | {"layer_types": ["full_attention", "conv"]})
    skip = AutoBertConfig.from_dict(config.to_dict() | {"per_layer_config": {1: {"skip": ["feed_forward"]}}})
    for refused, index in ((formula, 0), (conv, 1), (skip, 1)):
        with pytest.raises(SlicingError, match=f"Layer {index} is not standard attention"):
            order_by_use(AutoBertModel(refused), [BATCH])
