"""PEFT's adapters on our networks, side by side with the same adapters on stock BERT."""

import importlib.util
import inspect
import subprocess
import sys

import peft
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    pipeline,
)

from autobert_hf import AutoBertConfig, AutoBertForSequenceClassification, AutoBertModel


SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "max_position_embeddings": 16}
FAMILIES = {
    "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES)),
    "autobert": lambda: AutoBertForSequenceClassification(AutoBertConfig(**SIZES)),
}
ADAPTERS = {
    "lora": lambda: peft.LoraConfig(task_type="SEQ_CLS"),
    "dora": lambda: peft.LoraConfig(task_type="SEQ_CLS", use_dora=True),
    "adalora": lambda: peft.AdaLoraConfig(task_type="SEQ_CLS", total_step=10),
    "vera": lambda: peft.VeraConfig(task_type="SEQ_CLS"),
    "ia3": lambda: peft.IA3Config(task_type="SEQ_CLS"),
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
IDS = torch.tensor([[2, 5, 6, 3]])


def perturb(model):
    """Moves what is trained away from what leaves the network as it was."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)


def save_adapter(folder, family, adapter):
    """A network, its tokenizer and an adapter on it; the path of the adapter."""
    torch.manual_seed(0)
    FAMILIES[family]().save_pretrained(folder / "base")
    base = AutoModelForSequenceClassification.from_pretrained(folder / "base")
    adapted = peft.get_peft_model(base, ADAPTERS[adapter]())
    perturb(adapted)
    adapted.save_pretrained(folder / "adapter")
    BertTokenizer(vocab={word: number for number, word in enumerate(WORDS)}).save_pretrained(folder / "base")
    return str(folder / "adapter")


def outcome(load):
    try:
        return type(load()).__name__.removeprefix("Auto")
    except ValueError as error:
        return " ".join(str(error).split())[:20]


adapter_folders = pytest.mark.skipif(
    importlib.util.find_spec("peft.utils.transformers_weight_conversion") is None,
    reason="transformers loads the folders of adapters with a newer PEFT only",
)
LOADERS = {
    "AutoModel": AutoModel.from_pretrained,
    "AutoModelForSequenceClassification": AutoModelForSequenceClassification.from_pretrained,
    "pipeline": lambda path: pipeline("text-classification", path),
}


@adapter_folders
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_an_adapter_folder_loads_where_berts_does(adapter, loader, tmp_path):
    bert, ours = (save_adapter(tmp_path / family, family, adapter) for family in FAMILIES)
    assert outcome(lambda: LOADERS[loader](ours)) == outcome(lambda: LOADERS[loader](bert))


@adapter_folders
@pytest.mark.parametrize("adapter", ["lora", "adalora", "ia3"])
def test_an_adapter_folder_gives_the_adapted_outputs(adapter, tmp_path):
    path = save_adapter(tmp_path, "autobert", adapter)
    expected = peft.AutoPeftModelForSequenceClassification.from_pretrained(path).eval()(IDS).logits
    found = AutoModelForSequenceClassification.from_pretrained(path).eval()(IDS).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_an_adapter_does_not_hide_that_the_network_holds_other_weights(tmp_path):
    path = save_adapter(tmp_path, "autobert", "lora")
    FAMILIES["bert"]().save_pretrained(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").replace(tmp_path / "base" / "model.safetensors")
    with pytest.raises(ValueError, match="weights of another architecture"):
        AutoModelForSequenceClassification.from_pretrained(path)


def encoder(**settings):
    torch.manual_seed(0)
    return AutoBertForSequenceClassification(AutoBertConfig(**(SIZES | settings)))


PROMPTS = {
    "prompt": lambda **sizes: peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3, **sizes),
    "p-tuning": lambda **sizes: peft.PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=3, **sizes),
}


@pytest.mark.parametrize("method", PROMPTS)
def test_a_prompt_for_narrow_embeddings_names_the_width_to_give(method, tmp_path):
    with pytest.raises(ValueError, match=r"width 16 .* width 8: give Prompt\w+Config\(token_dim=8\)"):
        peft.get_peft_model(encoder(embedding_size=8), PROMPTS[method]())
    adapted = peft.get_peft_model(encoder(embedding_size=8), PROMPTS[method](token_dim=8)).eval()
    perturb(adapted)
    adapted.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(encoder(embedding_size=8), tmp_path).eval()
    torch.testing.assert_close(again(IDS).logits, adapted(IDS).logits, atol=1e-5, rtol=1e-4)


def prefix(**sizes):
    return peft.PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=3, **sizes)


def bare(**settings):
    torch.manual_seed(0)
    return AutoBertModel(AutoBertConfig(**(SIZES | settings)))


def test_a_prefix_for_wide_heads_names_the_sizes_to_give(tmp_path):
    wanted = r"2 heads of size 16: give PrefixTuningConfig\(num_attention_heads=2, token_dim=32\)"
    with pytest.raises(ValueError, match=wanted):
        peft.get_peft_model(bare(head_dim=16), prefix())
    adapted = peft.get_peft_model(bare(head_dim=16), prefix(num_attention_heads=2, token_dim=32)).eval()
    perturb(adapted)
    adapted.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(bare(head_dim=16), tmp_path).eval()
    states = adapted(IDS).last_hidden_state
    torch.testing.assert_close(again(IDS).last_hidden_state, states, atol=1e-5, rtol=1e-4)
    assert (states - adapted.get_base_model()(IDS).last_hidden_state).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"per_layer_config": {1: {"num_attention_heads": 1}}}, "different heads"),
        ({"layer_types": ["conv", "conv"]}, "needs attention"),
        ({"layer_types": ["conv", "full_attention"], "is_decoder": True}, "'conv' layers"),
        ({"layer_types": ["hybrid"] * 2, "qkv_conv_size": 3, "is_decoder": True}, "'hybrid' layers"),
    ],
)
def test_where_no_prefix_fits_a_sentence_says_why(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        peft.get_peft_model(bare(**settings), prefix())


@pytest.mark.parametrize("order", ["import autobert_hf, peft", "import peft, autobert_hf"])
def test_prompts_are_checked_in_either_order_of_import(order):
    code = f"{order}; assert peft.PeftModel.add_adapter.__module__ == 'peft.peft_model'; "
    code += "assert peft.PeftModel.add_adapter.__wrapped__"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


@pytest.mark.parametrize("settings", [{}, {"embedding_norm": False}, {"per_layer_config": {0: {"skip": ["mixer"]}}}])
def test_norms_are_tuned_where_they_are(settings):
    adapted = peft.get_peft_model(
        encoder(**settings), peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["norm", "mixer_norm"])
    )
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert any("embeddings.norm" in name for name in trained) == settings.get("embedding_norm", True)
    assert any("layers.0.mixer_norm" in name for name in trained) == ("per_layer_config" not in settings)
    assert any("layers.1.mixer_norm" in name for name in trained)
    adapted(IDS).logits.sum().backward()


def test_norms_that_nobody_has_are_named():
    targets = peft.LNTuningConfig(task_type="SEQ_CLS", target_modules=["embeddings.norm"])
    with pytest.raises(ValueError, match="arget"):  # the words differ with the version of PEFT
        peft.get_peft_model(encoder(embedding_norm=False), targets)


def test_with_a_task_type_an_adapter_loads_by_name(tmp_path):
    path = save_adapter(tmp_path, "autobert", "lora")
    again = peft.AutoPeftModelForSequenceClassification.from_pretrained(path)
    assert type(again.get_base_model()) is AutoBertForSequenceClassification


@pytest.mark.skipif(
    "import_allowlist" not in inspect.signature(peft.AutoPeftModel.from_pretrained).parameters,
    reason="this version of PEFT imports whatever an adapter names",
)
def test_without_a_task_type_peft_asks_for_our_name(tmp_path):
    """PEFT imports what an adapter names, and so only what its caller allows: we do not add ourselves to its list."""
    bare().save_pretrained(tmp_path / "base")
    adapted = peft.get_peft_model(AutoModel.from_pretrained(tmp_path / "base"), peft.LoraConfig()).eval()
    perturb(adapted)
    adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"import_allowlist=\['autobert_hf"):
        peft.AutoPeftModel.from_pretrained(tmp_path / "adapter")
    again = peft.AutoPeftModel.from_pretrained(tmp_path / "adapter", import_allowlist=["autobert_hf"]).eval()
    states = adapted(IDS).last_hidden_state
    torch.testing.assert_close(again(IDS).last_hidden_state, states, atol=1e-5, rtol=1e-4)
