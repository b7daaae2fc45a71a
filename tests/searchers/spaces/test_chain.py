"""Chains of sub-layers."""

import pytest

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.modeling.arithmetic import count_encoder_parameters
from autobert_hf.records.architecture import Architecture
from autobert_hf.searchers.spaces.chain import (
    ChainSpace,
    analysis_operations,
    attention,
    convolution,
    feed_forward,
    identity,
    main_operations,
)


BASE = AutoBertConfig(vocab_size=30, hidden_size=192, num_attention_heads=6, max_position_embeddings=16)


def parameters(space: ChainSpace, name: str) -> int:
    one = Architecture.of([space.operations[name]]).to_config(BASE)
    return sum(p.numel() for p in AutoBertModel(one).encoder.parameters())


def test_the_operations_of_the_analysis_have_equal_parameters():
    """Within 5 %, but for FFN', which is larger (section 3.2 of the notes: FFN' has a larger inner size)."""
    space = ChainSpace(analysis_operations(192), 12, 192)
    sizes = {name: parameters(space, name) for name in space.operations}
    larger = sizes.pop("FFN'")
    assert max(sizes.values()) <= 1.05 * min(sizes.values())
    assert larger > 1.9 * max(sizes.values())
    assert space.size == 6**12


def test_the_main_set():
    space = ChainSpace(main_operations(768), 24, 768)
    assert [*space.operations] == ["MHA12", "FFN", "CONV3", "CONV5"]
    assert space.size == 4**24
    assert len(set(ChainSpace(main_operations(192, 4), 4, 192).enumerate())) == 256


def test_any_order_of_sub_layers_is_a_network():
    space = ChainSpace({"MHA": attention(2, 24), "FFN": feed_forward(96), "ID": identity()}, 5, 192)
    names = ["FFN", "FFN", "MHA", "ID", "MHA"]
    config = space.of(*names).to_config(BASE)
    model = AutoBertModel(config)
    assert [layer.mixer is not None for layer in model.encoder.layers] == [False, False, True, False, True]
    assert sum(p.numel() for p in model.encoder.layers[3].parameters()) == 0
    assert sum(p.numel() for p in model.encoder.parameters()) == count_encoder_parameters(config)
    assert space.names(space.of(*names)) == names


def test_smallest_and_largest():
    space = ChainSpace({"CONV3": convolution(3), "ID": identity(), "FFN": feed_forward(400)}, 2, 192)
    assert space.names(space.smallest()) == ["ID", "ID"]
    assert space.names(space.largest()) == ["FFN", "FFN"]


def test_what_makes_no_space():
    with pytest.raises(ValueError, match="The set of operations has 1: there is nothing to search"):
        ChainSpace({"FFN": feed_forward(24)}, 4, 48)
    with pytest.raises(ValueError, match="The chain has 0 sub-layers"):
        ChainSpace(main_operations(48, 4), 0, 48)
    with pytest.raises(ValueError, match="the same under two names"):
        ChainSpace({"FFN": feed_forward(24), "FFN2": feed_forward(24)}, 4, 48)
    with pytest.raises(ValueError, match="hidden_size 100 cannot be shared out to 6 heads.*multiple of 24"):
        analysis_operations(100)
