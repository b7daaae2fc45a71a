"""What transformers' own tests do not see: padding beside convolutions, ties after loading, weights left on disk."""

from pathlib import Path

import accelerate
import pytest
import torch
from packaging.version import Version
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, PreTrainedModel

from autobert_hf import AutoBertConfig, AutoBertForCausalLM, AutoBertForMaskedLM, AutoBertForPreTraining, AutoBertModel
from autobert_hf.modeling.convert import to_autobert_name

from .shapes import BERT, SHAPES, build, tokens


CLOSE = {"atol": 1e-5, "rtol": 1e-5}
ENCODERS = {shape: {} for shape, settings in SHAPES.items() if not settings.get("is_decoder")}
ENCODERS["autobert_zero softmax"] = {"conv_softmax": True}
ENCODERS["bert hybrid"] = {"layer_types": ["hybrid", "hybrid"], "qkv_conv_size": 5}
ENCODERS["bert linear"] = {"attention_formula": "q @ (softplus(k).T @ v)"}
encoders = pytest.mark.parametrize("name", ENCODERS)


def encoder(name: str) -> PreTrainedModel:
    return build(AutoBertModel, name.split()[0], **ENCODERS[name])


@encoders
@pytest.mark.parametrize("left, right", [(0, 1), (0, 9), (1, 0), (9, 0), (4, 5)])
def test_padding_on_either_side_is_invisible(name: str, left: int, right: int) -> None:
    """Compared at every real token, those beside the padding first of all; positions are the same with and without."""
    model, ids = encoder(name), tokens(2, 8)
    padded = torch.cat([tokens(2, left), ids, tokens(2, right)], 1)  # what stands in the padding must not matter
    mask = torch.zeros_like(padded)
    mask[:, left : left + 8] = 1
    positions = (torch.arange(padded.shape[1]) - left).clamp(min=0)[None]
    with torch.no_grad():
        alone = model(ids).last_hidden_state
        seen = model(padded, attention_mask=mask, position_ids=positions).last_hidden_state
        unmasked = model(padded, position_ids=positions).last_hidden_state
    torch.testing.assert_close(seen[:, left : left + 8], alone, **CLOSE)
    edge = left if left else 7
    assert (unmasked[:, edge] - alone[:, edge - left]).abs().max() > 1e-2  # without the mask it would show


@encoders
def test_rows_of_unequal_length_give_what_each_gives_alone(name: str) -> None:
    model, ids = encoder(name), tokens(3, 10)
    mask = (torch.arange(10) < torch.tensor([[10], [6], [1]])).long()
    with torch.no_grad():
        batch = model(ids, attention_mask=mask).last_hidden_state
        for row, length in enumerate((10, 6, 1)):
            alone = model(ids[row : row + 1, :length]).last_hidden_state[0]
            torch.testing.assert_close(batch[row, :length], alone, **CLOSE)


@pytest.mark.parametrize("name", ["separable", "bert hybrid", "bert linear"])
def test_masks_of_token_pairs_are_refused_where_padding_must_be_known(name: str) -> None:
    with pytest.raises(ValueError, match="attention_mask has the shape"):
        encoder(name)(tokens(2, 8), attention_mask=torch.ones(2, 1, 8, 8))


def test_masks_of_token_pairs_hold_for_plain_attention() -> None:
    model, ids = build(AutoBertModel, "bert"), tokens(2, 8)
    pairs = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    pairs[..., :4, :4] = pairs[..., 4:, 4:] = True  # two texts in one row
    with torch.no_grad():
        first = model(ids, attention_mask=pairs).last_hidden_state[:, :4]
        torch.testing.assert_close(first, model(ids[:, :4]).last_hidden_state, **CLOSE)


PAIRS = (torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.4) | torch.eye(8, dtype=torch.bool)
MASKS = {"allowed": PAIRS[:, :1], "each head": PAIRS, "one for all": PAIRS[:1, :1], "keys": PAIRS[:, :1, :1]}
MASKS["added"] = torch.where(PAIRS[:, :1], 0.0, -10_000.0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("is_decoder", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_masks_of_token_pairs_do_what_they_do_in_bert(mask: str, is_decoder: bool, attention: str) -> None:
    settings = BERT | {"is_decoder": is_decoder, "initializer_range": 0.2, "attn_implementation": attention}
    torch.manual_seed(0)
    bert = BertModel(BertConfig(**settings)).eval()
    ours = AutoBertModel(AutoBertConfig(**settings)).eval()
    ours.load_state_dict({to_autobert_name(name): weight for name, weight in bert.state_dict().items()})
    with torch.no_grad():
        expected = bert(tokens(2, 8), attention_mask=MASKS[mask]).last_hidden_state
        found = ours(tokens(2, 8), attention_mask=MASKS[mask]).last_hidden_state
        assert (expected - bert(tokens(2, 8)).last_hidden_state).abs().max() > 1e-2
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.slow  # compiles its kernels
@pytest.mark.parametrize("shape", ["bert", "autobert_zero", "mixed_decoder"])
def test_flex_attention_agrees(shape: str) -> None:
    """Transformers runs its own test of it with gradients, and so on a GPU only."""
    model, ids = build(AutoBertModel, shape, num_attention_heads=2), tokens(2, 8)
    real = torch.arange(8) < torch.tensor([[5], [8]])
    with torch.no_grad():
        expected = model(ids, attention_mask=real.long()).last_hidden_state
        model.set_attn_implementation("flex_attention")
        found = model(ids, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(found[real], expected[real], **CLOSE)


LANGUAGE_MODELS = [(AutoBertForMaskedLM, "bert"), (AutoBertForPreTraining, "bert"), (AutoBertForCausalLM, "decoder")]
language_models = pytest.mark.parametrize("head, shape", LANGUAGE_MODELS)


@language_models
@pytest.mark.parametrize("options", [{}, {"device_map": "cpu"}, {"dtype": torch.bfloat16}])
def test_tied_weights_are_one_tensor_after_loading(
    head: type[PreTrainedModel], shape: str, options: dict[str, object], tmp_path: Path
) -> None:
    build(head, shape).save_pretrained(tmp_path)
    assert "predictions.decoder.weight" not in load_file(tmp_path / "model.safetensors")
    model = head.from_pretrained(tmp_path, **options)
    words = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is words
    with torch.no_grad():
        before = model(tokens(1, 5))[0].float()
        words[7] += 1  # a word that the input does not hold: only its logit may move
        moved = (model(tokens(1, 5))[0].float() - before).abs().amax((0, 1))
    assert 7 not in tokens(1, 5)
    assert moved.argmax() == 7
    assert moved.count_nonzero() == 1


@language_models
def test_untied_weights_stay_apart(head: type[PreTrainedModel], shape: str, tmp_path: Path) -> None:
    saved = build(head, shape, tie_word_embeddings=False)
    saved.save_pretrained(tmp_path)
    model = head.from_pretrained(tmp_path)
    assert not torch.equal(model.get_output_embeddings().weight, model.get_input_embeddings().weight)
    assert torch.equal(model.get_output_embeddings().weight, saved.get_output_embeddings().weight)


@pytest.mark.skipif(
    Version(accelerate.__version__) < Version("1.15"), reason="accelerate leaves a whole model on disk from 1.15 on"
)
@pytest.mark.parametrize("shape", SHAPES)
def test_shards_and_weights_left_on_disk_give_the_same(shape: str, tmp_path: Path) -> None:
    """Where weights are offloaded a module sees only those of the modules that it calls."""
    head = AutoBertForCausalLM if "decoder" in shape else AutoBertForMaskedLM
    model, ids = build(head, shape), tokens(2, 8)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    offloaded = head.from_pretrained(tmp_path, device_map={"": "disk"}, offload_folder=tmp_path / "offload")
    with torch.no_grad():
        torch.testing.assert_close(offloaded(ids).logits, model(ids).logits)
