"""Pipelines, sentence vectors and ONNX."""

import onnxruntime
import pytest
import torch

from .conftest import write_table


NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}
LABELS = {"id2label": NLI, "label2id": {label: number for number, label in NLI.items()}}


@pytest.mark.parametrize(
    ("head", "settings", "expected"),
    [
        ("AutoBertModel", {}, ["feature-extraction"]),
        ("AutoBertForMaskedLM", {}, ["fill-mask", "feature-extraction"]),
        ("AutoBertForPreTraining", {}, ["fill-mask", "feature-extraction"]),
        ("AutoBertForSequenceClassification", LABELS, ["text-classification", "zero-shot-classification"]),
        ("AutoBertForTokenClassification", {}, ["token-classification"]),
        ("AutoBertForCausalLM", {"is_decoder": True}, ["text-generation"]),
        ("AutoBertForQuestionAnswering", {}, []),
        ("AutoBertForMultipleChoice", {}, []),
    ],
)
def test_pipelines(run, network, capsys, head, settings, expected):
    run("pipelines.py", network(head, **settings))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{head}: {', '.join(expected) or 'no pipeline'}"
    assert [line.split(" |")[0] for line in lines if " | " in line] == [task for task in expected for _ in range(2)]


def test_sentence_transformer(run, encoder, tmp_path, capsys):
    pairs = [("A cook tastes soup.", "Soup is tasted.", 5.0), ("A cook tastes soup.", "A judge reads.", 0.0)]
    rows = [dict(zip(("sentence1", "sentence2", "label"), pair, strict=True)) for pair in pairs]
    data = write_table(tmp_path / "data", validation=rows)
    names = run("sentence_transformer.py", encoder, tmp_path / "out", "--data", data)
    assert names["vectors"].shape == (3, 32)
    assert (tmp_path / "out" / "modules.json").is_file()
    assert "spearman_cosine" in capsys.readouterr().out


EVERY_KIND = {
    "layer_types": ["conv", "conv", "full_attention", "full_attention", "full_attention", "hybrid", "conv", "conv"],
    "norm_type": "rms_norm",
    "per_layer_config": {
        0: {"conv_kernel_size": 5},
        1: {"conv_kernel_size": 5, "conv_type": "separable"},
        3: {"attention_formula": "softmax(q @ softplus(k).T / sqrt(d)) @ (k + q)"},
        4: {"attention_formula": "q @ (softplus(k).T @ v)"},
        5: {"qkv_conv_size": 3},
        6: {"conv_softmax": True, "gated_ffn": True, "layer_width": 16},
        7: {"skip": ["feed_forward"]},
    },
}


@pytest.mark.timeout(300)
@pytest.mark.skipif(torch.__version__ < "2.11", reason="transformers exports from torch 2.11 on")
@pytest.mark.parametrize(
    "head",
    [
        "AutoBertModel",
        pytest.param("AutoBertForMaskedLM", marks=pytest.mark.slow),
        pytest.param("AutoBertForSequenceClassification", marks=pytest.mark.slow),
        pytest.param("AutoBertForQuestionAnswering", marks=pytest.mark.slow),
    ],
)
def test_onnx_of_every_kind_of_layer(run, network, tmp_path, capsys, head):
    run("export_onnx.py", network(head, **EVERY_KIND), tmp_path / "out")  # which compares with torch
    assert f"{head} as ONNX" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    assert all(isinstance(size, str) for given in session.get_inputs() for size in given.shape)  # both are free
    assert {given.name for given in session.get_inputs()} >= {"input_ids", "attention_mask"}
