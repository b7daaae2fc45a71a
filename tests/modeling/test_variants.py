"""The paper's ablations and its scaling rule."""

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.cli import main
from autobert_hf.modeling.variants import ablations, deeper, resized


@pytest.fixture
def base() -> AutoBertConfig:
    return AutoBertConfig.from_zoo("autobert-zero-base")


def kernels(config: AutoBertConfig) -> list[int | str]:
    return [layer.conv_kernel_size if kind == "conv" else "att" for kind, layer in config.layers()]


def test_ablations_of_the_published_network(base):
    found = ablations(base)
    assert kernels(base) == [65, "att", 9, "att", 3, "att", 7, "att", 7, "att", 3, "att"]
    attention = [layer.attention_formula for _, layer in found["attention-only"].layers()]
    original = [layer.attention_formula for _, layer in base.layers()]
    assert found["attention-only"].layer_types == ["full_attention"] * 12
    assert attention == [original[i | 1] for i in range(12)]
    assert kernels(found["convolution-only"]) == [65, 65, 9, 9, 3, 3, 7, 7, 7, 7, 3, 3]
    assert kernels(found["kernels-reversed"])[::2] == [3, 7, 7, 3, 9, 65]
    shuffled = kernels(found["kernels-shuffled"])[::2]
    assert sorted(shuffled) == [3, 3, 7, 7, 9, 65] and shuffled != [65, 9, 3, 7, 7, 3]


def test_deeper_is_the_published_large_network(base):
    large = AutoBertConfig.from_zoo("autobert-zero-large")
    ours = deeper(base, hidden_size=1024, num_attention_heads=16, intermediate_size=4096)
    assert [(kind, layer.attention_formula, layer.conv_kernel_size, layer.layer_width) for kind, layer in ours.layers()
            if kind == "conv"] == [
        (kind, layer.attention_formula, layer.conv_kernel_size, layer.layer_width) for kind, layer in large.layers()
        if kind == "conv"
    ]  # fmt: skip
    assert [layer.attention_formula for _, layer in ours.layers()] == [
        layer.attention_formula for _, layer in large.layers()
    ]


def test_resized_is_the_published_small_network(base):
    small = AutoBertConfig.from_zoo("autobert-zero-small")
    ours = resized(base, hidden_size=256, num_attention_heads=4, intermediate_size=1024)
    assert kernels(ours) == kernels(small)
    assert ours.head_dim == small.head_dim == 64
    assert ours.embedding_size == 256


def test_a_network_of_one_kind_has_nothing_to_ablate(tmp_path, capsys):
    AutoBertConfig(num_hidden_layers=2).save_pretrained(tmp_path)
    assert main(["ablate", str(tmp_path), str(tmp_path / "out")]) == 1
    assert "nothing to ablate" in capsys.readouterr().err


def test_commands_write_what_loads(tmp_path, capsys):
    assert main(["ablate", "autobert-zero-small", str(tmp_path / "ablated")]) == 0
    assert {path.name for path in (tmp_path / "ablated").iterdir()} == set(
        ablations(AutoBertConfig.from_zoo("autobert-zero-small"))
    )
    assert main(["scale", "autobert-zero-small", str(tmp_path / "large"), "--deeper"]) == 0
    assert AutoBertConfig.from_pretrained(tmp_path / "large").num_hidden_layers == 24
    sizes = ["--hidden-size", "128", "--num-attention-heads", "2", "--intermediate-size", "256"]
    assert main(["scale", "autobert-zero-small", str(tmp_path / "small"), *sizes]) == 0
    small = AutoBertConfig.from_pretrained(tmp_path / "small")
    assert (small.hidden_size, small.num_attention_heads, small.intermediate_size) == (128, 2, 256)
    assert main(["scale", "autobert-zero-small", str(tmp_path / "same")]) == 1
    assert "Nothing to scale" in capsys.readouterr().err
