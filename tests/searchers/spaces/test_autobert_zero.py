"""The AutoBERT-Zero space: closed under sampling, mutation and crossover, and the same thing as JSON and as config."""

import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.formula import parse_formula, path
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces import SPACES
from autobert_hf.searchers.spaces.autobert_zero import KERNELS, AutoBertZeroSpace


SPACE = AutoBertZeroSpace(num_hidden_layers=4)
BASE = AutoBertConfig(vocab_size=60, hidden_size=32, num_attention_heads=2, intermediate_size=48, norm_position="pre")
SEEDS = st.integers(0, 2**32)
ATTENTION = {"layer_type": "full_attention", "attention_formula": "softmax(q @ k.T) @ v"}
CONV = {"layer_type": "conv", "conv_kernel_size": 3}


def kinds(architecture: Architecture) -> list[str]:
    return [layer["layer_type"] for layer in architecture.layer_dicts]


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_closed_under_everything(seed: int) -> None:
    rng = Random(seed)
    one, other = SPACE.sample(rng), SPACE.sample(rng)
    assert SPACE.contains(one)
    mixed = SPACE.crossover(one, other, rng)
    assert SPACE.contains(mixed)
    assert all(layer in pair for layer, *pair in zip(mixed.layers, one.layers, other.layers, strict=True))
    for _ in range(5):
        one = SPACE.mutate(one, rng)
        assert SPACE.contains(one)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_mutation_changes_the_inside_of_one_layer_apart_from_flips(seed: int) -> None:
    rng = Random(seed)
    parent = SPACE.sample(rng)
    child = SPACE.mutate(parent, rng)
    assert child != parent
    flipped = [a != b for a, b in zip(kinds(parent), kinds(child), strict=True)]
    inside = [a != b for a, b, flip in zip(parent.layers, child.layers, flipped, strict=True) if not flip]
    assert sum(inside) <= 1
    assert sum(inside) == 1 or any(flipped)


def test_a_layer_flips_once_in_as_many_mutations_as_there_are_layers() -> None:
    flips = 0
    for seed in range(150):
        rng = Random(seed)
        parent = SPACE.sample(rng)
        flips += sum(a != b for a, b in zip(kinds(parent), kinds(SPACE.mutate(parent, rng)), strict=True))
    assert 0.85 < flips / 150 < 1.15


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_architecture(seed: int) -> None:
    fresh = AutoBertZeroSpace(num_hidden_layers=4)
    architecture = SPACE.sample(Random(seed))
    assert fresh.sample(Random(seed)) == architecture
    assert fresh.mutate(architecture, Random(seed)) == SPACE.mutate(architecture, Random(seed))


def test_samples_reach_every_kernel_in_every_layer() -> None:
    samples = [SPACE.sample(Random(seed)) for seed in range(150)]
    genes = {gene for sample in samples for gene in SPACE.genes(sample)}
    assert {gene for gene in genes if gene[0][0] == "kernel"} == {
        (("kernel", i), k) for i in range(4) for k in KERNELS
    }
    share = sum(kinds(sample).count("conv") for sample in samples) / 600
    assert 0.45 < share < 0.55


def test_a_mutated_convolution_has_another_kernel() -> None:
    lonely = AutoBertZeroSpace(num_hidden_layers=1, kernels=(3, 5))
    parent = Architecture.of([CONV])
    children = [lonely._changed(0, CONV, Random(seed), lambda position, choices, rng: choices[0]) for seed in range(5)]
    assert [child["conv_kernel_size"] for child in children] == [5] * 5
    assert AutoBertZeroSpace(1, kernels=(3,)).contains(AutoBertZeroSpace(1, kernels=(3,)).mutate(parent, Random(1)))


def test_genes_are_the_kernels_by_layer_and_the_paths_by_position() -> None:
    formula = "softmax(q @ k.T / sqrt(d)) @ v"
    attention = {"layer_type": "full_attention", "attention_formula": formula}
    genes = SPACE.genes(Architecture.of([CONV, attention, {**CONV, "conv_kernel_size": 65}, attention]))
    operations = path(parse_formula(formula))
    paths = [(("path", position), operation) for position, operation in enumerate(operations)]
    assert set(operations) == {"softmax", "matmul", "transpose", "scale"}
    assert genes == [(("kernel", 0), 3), *paths, (("kernel", 2), 65), *paths]


@pytest.mark.parametrize(
    "layers",
    [
        [CONV] * 3,
        [CONV] * 5,
        [CONV, CONV, CONV, {**CONV, "conv_kernel_size": 4}],
        [CONV, CONV, CONV, {**CONV, "intermediate_size": 8}],
        [CONV, CONV, CONV, {**ATTENTION, "layer_type": "hybrid"}],
        [CONV, CONV, CONV, {**ATTENTION, "attention_formula": "softmax(q @ q.T) @ q"}],
        [CONV, CONV, CONV, {**ATTENTION, "attention_formula": "q @ k"}],
        [CONV, CONV, CONV, {**ATTENTION, "attention_formula": "q + k"}],
        [CONV, CONV, CONV, {**ATTENTION, "attention_formula": "__import__('os')"}],
        [CONV, CONV, CONV, {}],
    ],
)
def test_what_is_not_in_the_space(layers: list[dict[str, object]]) -> None:
    assert SPACE.contains(Architecture.of([CONV, CONV, CONV, ATTENTION]))
    assert not SPACE.contains(Architecture.of(layers))


def test_settings_of_the_whole_network_are_not_of_this_space() -> None:
    assert not SPACE.contains(Architecture.of([CONV] * 4, hidden_size=8))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_json_and_config_tell_the_same_architecture(seed: int) -> None:
    architecture = SPACE.sample(Random(seed))
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert len({again, architecture, SPACE.mutate(architecture, Random(seed))}) == 2
    config = architecture.to_config(BASE)
    assert SPACE.from_config(config) == architecture
    assert SPACE.from_config(AutoBertConfig.from_dict(json.loads(config.to_json_string()))) == architecture


@pytest.mark.parametrize("layer", [CONV, ATTENTION])
def test_layers_that_are_all_alike_come_back_too(layer: dict[str, object]) -> None:
    architecture = Architecture.of([layer] * 4)
    assert SPACE.from_config(architecture.to_config(BASE)) == architecture


def test_a_config_keeps_what_the_search_does_not_decide() -> None:
    config = SPACE.sample(Random(0)).to_config(BASE)
    assert config.num_hidden_layers == 4
    assert (config.hidden_size, config.vocab_size, config.norm_position) == (32, 60, "pre")
    assert {layer.intermediate_size for _, layer in config.layers()} == {48}


def test_architectures_are_values() -> None:
    architecture = Architecture.of([CONV, ATTENTION])
    assert architecture == Architecture.of([dict(reversed(CONV.items())), ATTENTION])
    assert architecture.replace(1, CONV) == Architecture.of([CONV, CONV])
    architecture.layer_dicts[0]["conv_kernel_size"] = 9
    assert architecture == Architecture.of([CONV, ATTENTION])
    with pytest.raises(AttributeError):
        architecture.layers = ()  # type: ignore[misc]


def test_nothing_in_the_space_is_larger_than_the_largest() -> None:
    largest = SPACE.largest()
    assert SPACE.contains(largest)
    most = count_parameters(largest.to_config(BASE))
    sizes = [count_parameters(SPACE.sample(Random(seed)).to_config(BASE)) for seed in range(60)]
    assert max(sizes) <= most
    assert len(set(sizes)) > 10


@pytest.mark.parametrize(("constraint", "depth"), [("att", 4), ("conv", 4), ("no-desc", 12)])
def test_under_a_constraint_everything_fulfils_it(constraint: str, depth: int) -> None:
    """Three layers of a kind in a row, or kernels that never fall, after any number of mutations and crossings."""
    space, rng = AutoBertZeroSpace(depth, constraint=constraint), Random(0)
    found = [space.sample(rng) for _ in range(12)]
    for one, other in zip(found[:], found[1:], strict=False):
        found += [space.mutate(one, rng), space.crossover(one, other, rng)]
    found += [space.smallest(), space.largest()]
    assert all(map(space.contains, found))
    for architecture in found:
        row = "".join(kind[0] for kind in kinds(architecture))
        sizes = [layer["conv_kernel_size"] for layer in architecture.layer_dicts if "conv_kernel_size" in layer]
        assert {"att": "fff" in row, "conv": "ccc" in row, "no-desc": sizes == sorted(sizes)}[constraint]
    free = [AutoBertZeroSpace(depth).sample(Random(seed)) for seed in range(60)]
    assert any(not space.contains(architecture) for architecture in free)
    counts = [count_parameters(architecture.to_config(BASE)) for architecture in found]
    assert max(counts) == counts[-1]


def test_a_row_of_three_needs_three_layers() -> None:
    with pytest.raises(
        ValueError, match="The constraint att asks for 3 layers in a row, but there are 2: give --num-"
    ):
        AutoBertZeroSpace(2, constraint="att")
    assert AutoBertZeroSpace(2, constraint="no-desc").contains(
        Architecture.of([CONV, {**CONV, "conv_kernel_size": 5}])
    )


def test_the_space_has_a_name() -> None:
    assert SPACES["autobert-zero"] is AutoBertZeroSpace
