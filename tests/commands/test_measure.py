"""`autobert measure` as a user calls it, with FLOPs for seconds."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, DistilBertConfig, T5Config, T5Model

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.cli import main
from autobert_hf.commands.measure import load_encoder
from autobert_hf.lab.measuring import workload as workload_module
from autobert_hf.records.json_files import read_record, write_record


SIZES = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
SIZES |= {"max_position_embeddings": 40}
QUICK = ["--length", "16", "--rounds", "2"]


@pytest.fixture(autouse=True)
def flops_as_seconds(monkeypatch):
    def counted(call) -> tuple[float, float]:
        with FlopCounterMode(display=False) as counter:
            call()
        return float(counter.get_total_flops()), counter.get_total_flops() * 1.5

    monkeypatch.setattr(workload_module, "clocks", counted)


@pytest.fixture
def folders(tmp_path):
    BertModel(BertConfig(**SIZES, num_hidden_layers=1)).save_pretrained(tmp_path / "bert")
    AutoBertForMaskedLM(AutoBertConfig(**SIZES, num_hidden_layers=2)).save_pretrained(tmp_path / "ours")
    AutoBertConfig(**SIZES, num_hidden_layers=3).save_pretrained(tmp_path / "config")
    return tmp_path


def test_ours_others_and_a_bare_configuration(folders, capsys):
    names = [str(folders / name) for name in ("ours", "config", "bert")]
    output = folders / "latency.json"
    assert main(["measure", *names, "--reference", names[2], *QUICK, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "2.000-2.000" in printed and "the machine is busy" in printed
    rows = json.loads(output.read_text())
    assert [rows[name]["ratio"] for name in names] == [2.0, 3.0, 1.0]
    assert rows[names[2]]["parameters"] == sum(p.numel() for p in load_encoder(names[2]).parameters())
    assert {row["reference"] for row in rows.values()} == {"bert"}


def test_the_precision_is_that_of_the_workload(folders):
    """Not that of the file: a row that says float32 is of fp32."""
    BertModel.from_pretrained(folders / "bert").half().save_pretrained(folders / "half")
    (folders / "untrained").mkdir()
    (folders / "untrained" / "config.json").write_text((folders / "half" / "config.json").read_text())
    for name in ("half", "untrained"):
        assert {weight.dtype for weight in load_encoder(str(folders / name)).parameters()} == {torch.float32}


def test_poolers_are_left_out(folders):
    assert load_encoder(str(folders / "bert")).pooler is None
    DistilBertConfig(dim=32, n_layers=1, n_heads=2, hidden_dim=64).save_pretrained(folders / "distil")
    assert load_encoder(str(folders / "distil")).config.model_type == "distilbert"


def test_a_run_gets_the_rows_that_its_cards_show(folders, capsys):
    run = folders / "run"
    (run / "report").mkdir(parents=True)
    write_record(run / "run.json", {})
    (folders / "ours").rename(run / "model")
    old = {"this network": {"ratio": 9.0, "predicted": 1.9}, "a cut": {"ratio": 0.7}}
    write_record(run / "report" / "latency.json", old)
    assert main(["measure", "--run", str(run), "--reference", str(folders / "bert"), *QUICK]) == 0
    rows = read_record(run / "report" / "latency.json")
    assert rows["a cut"] == {"ratio": 0.7}
    assert (rows["this network"]["ratio"], rows["this network"]["predicted"]) == (2.0, 1.9)
    assert "autobert report" in capsys.readouterr().out


def test_the_reference_may_run_in_another_precision(folders, capsys):
    bert = str(folders / "bert")
    output = folders / "latency.json"
    options = ["--reference", bert, "--precision", "bf16", "--reference-precision", "no", *QUICK]
    assert main(["measure", bert, *options, "--output", str(output)]) == 0
    row = json.loads(output.read_text())[bert]
    assert (row["dtype"], row["reference"]) == ("bfloat16", "bert (eager, float32)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Nothing to measure"),
        (["{bert}", "--length", "41"], "cannot be run on 1 x 41 tokens"),
        (["{bert}", "--precision", "int8"], "eager takes precision no, bf16"),
        (["{bert}", "--rounds", "1"], "at least 2"),
        (["{bert}", "--run", "{bert}"], "run.json"),
        (["{t5}"], "give a smaller --length, or an encoder"),
        (["{bert}/nowhere"], "nowhere"),
    ],
)
def test_bad_input_ends_in_a_sentence(folders, capsys, arguments, sentence):
    T5Model(T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)).save_pretrained(
        folders / "t5"
    )
    names = {"bert": folders / "bert", "t5": folders / "t5"}
    options = [argument.format(**names) for argument in arguments]
    assert main(["measure", "--reference", str(folders / "bert"), *QUICK[2:], *options]) == 1
    assert sentence in capsys.readouterr().err


def test_without_a_reference_it_is_bert_base(folders, monkeypatch):
    seen = {}

    def measured(models, reference, *_):
        seen["reference"] = reference.config
        return {}

    monkeypatch.setattr("autobert_hf.commands.measure.measure_latency", measured)
    monkeypatch.setattr("autobert_hf.commands.measure.table", lambda rows: [])
    assert main(["measure", str(folders / "bert"), *QUICK]) == 0
    assert (seen["reference"].model_type, seen["reference"].num_hidden_layers) == ("bert", 12)
