import json
import os
import shutil
import subprocess
import sys
import warnings
from itertools import product
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertTokenizer,
    pipeline,
)

import autobert_hf
from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel, AutoBertSuperNet, SuperNetSpace
from autobert_hf.modeling import supernet_files, supernet_space
from autobert_hf.modeling.supernet_space import SuperNetError
from tests.hub_cards.hub_server import Hub

from .supernet_cases import DROPPED, FRONT, NARROWED, QUALITY, THRICE, TWICE, saved, supernet


CHOICES = [
    None,
    "smallest",
    "largest",
    "2x",
    "3x",
    {"max_params": 6_000},
    {"hidden_size": 20, "head_dim": 5},
    {"num_hidden_layers": 2, "intermediate_size": [16, 88], "head_dim": [3, 12], "num_attention_heads": [4, 4]},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("supernet") / "it")


def equal(one, other):
    names = one.state_dict()
    assert names.keys() == other.state_dict().keys()
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in names.items())


@pytest.mark.parametrize("architecture", CHOICES, ids=str)
def test_a_slice_is_bitwise_what_extraction_gives(folder, architecture):
    loaded, extracted = (
        AutoBertForMaskedLM.from_pretrained(folder, architecture=architecture),
        supernet().extract(architecture),
    )
    equal(loaded, extracted)
    assert loaded.config.supernet is None and not hasattr(loaded.config, "architecture")
    assert loaded.name_or_path == loaded.config.name_or_path == str(folder)
    ids = torch.tensor([[3, 4, 5, 6]])
    assert torch.equal(loaded(ids).logits, extracted(ids).logits)


@pytest.mark.parametrize(
    "head", [name for name in autobert_hf.__all__ if name.startswith(("AutoBertFor", "AutoBertM"))]
)
def test_every_head_loads_a_slice(tmp_path, head):
    cls = getattr(autobert_hf, head)
    decoder = {"is_decoder": True} if head == "AutoBertForCausalLM" else {}
    folder = saved(tmp_path, cls, **decoder)
    equal(cls.from_pretrained(folder, architecture="2x"), supernet(cls, **decoder).extract("2x"))
    whole = AutoBertSuperNet.from_pretrained(folder)
    equal(whole.network, supernet(cls, **decoder).network)


@pytest.mark.parametrize("settings", [{"embedding_size": 8}, {"tie_word_embeddings": False}, {"gated_ffn": True}])
def test_other_networks(tmp_path, settings):
    loaded = AutoBertForMaskedLM.from_pretrained(saved(tmp_path, **settings), architecture="2x")
    equal(loaded, supernet(**settings).extract("2x"))


def test_dropped_heads_and_many_sizes(tmp_path):
    network = supernet().network
    front = [{"name": "a", "sizes": TWICE | {"num_attention_heads": 2, "head_dim": 12}, "scores": {}}]
    it = AutoBertSuperNet.wrap(network, SuperNetSpace(DROPPED, {}, front))
    it.save_pretrained(tmp_path)
    for depth, hidden, inner, heads in product([1, 4], [12, 28, 48], [16, 56], [1, 2, 3]):
        sizes = {
            "num_hidden_layers": depth,
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_attention_heads": heads,
        }
        equal(AutoBertForMaskedLM.from_pretrained(tmp_path, architecture=sizes), it.extract(sizes))


def test_auto_classes_settings_and_a_saved_slice(folder, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, architecture="2x", num_labels=3, dtype="bfloat16"
    )
    assert model.classifier.out_features == 3 and model.dtype == torch.bfloat16 and model.config.hidden_size == 24
    direct = autobert_hf.AutoBertForSequenceClassification.from_pretrained(folder, architecture="2x", num_labels=3)
    assert direct.classifier.out_features == 3
    encoder, report = AutoModel.from_pretrained(folder, architecture="2x", output_loading_info=True)
    assert type(encoder) is AutoBertModel and not report["mismatched_keys"]
    encoder.save_pretrained(tmp_path)
    assert "supernet" not in json.loads((tmp_path / "config.json").read_text())
    equal(AutoModel.from_pretrained(tmp_path), encoder)
    with pytest.raises(SuperNetError, match="one size only"):
        AutoModel.from_pretrained(tmp_path, architecture="2x")


def test_pipeline(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(95))]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(copy)
    fill = pipeline("fill-mask", str(copy), model_kwargs={"architecture": {"max_params": 8_000}})
    assert fill.model.config.hidden_size == 16 and len(fill("word1 [MASK]")) == 5


REMOTE = """
import sys
from transformers import AutoModelForMaskedLM, pipeline
folder, out = sys.argv[1:]
model = AutoModelForMaskedLM.from_pretrained(folder, architecture="2x", trust_remote_code=True)
assert "autobert_hf" not in sys.modules and model.config.hidden_size == 24
assert model.name_or_path == folder
model.save_pretrained(out)
try:
    AutoModelForMaskedLM.from_pretrained(folder, architecture="7x", trust_remote_code=True)
except ValueError as error:
    assert "2x" in str(error)
else:
    raise AssertionError
"""


@pytest.mark.timeout(120)
def test_with_remote_code(folder, tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-c", REMOTE, str(folder), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    equal(AutoModelForMaskedLM.from_pretrained(tmp_path / "out"), supernet().extract("2x"))


def test_limits_choose_by_quality_and_warn_elsewhere(folder, monkeypatch):
    space = supernet().space
    config = supernet().config
    monkeypatch.setattr(supernet_space, "machine_name", lambda: "a machine, 8 cores")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert space.sizes({"max_latency": 0.6}, config) == TWICE
    assert space.sizes({"max_latency": 0.4}, config) == THRICE
    worse = [dict(FRONT[0], scores={"latency": 0.33, "loss": 1.0}), FRONT[1]]
    assert SuperNetSpace(NARROWED, {}, worse, QUALITY).sizes({"max_params": 1e6}, config) == THRICE
    monkeypatch.setattr(supernet_space, "machine_name", lambda: "another, 8 cores")
    with pytest.warns(UserWarning, match="measured on a machine, this is another"):
        space.sizes({"max_latency": 0.6, "max_params": 1e6}, config)
    for limit in ({"max_latency": 0.1}, {"max_params": 10}):
        with pytest.raises(SuperNetError, match="the least are"):
            space.sizes(limit, config)


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("9x", "smallest, largest, 3x, 2x"),
        ({"hidden_size": 21}, "'hidden_size': 20"),
        ({"hidden_size": 500, "num_hidden_layers": 9}, "num_hidden_layers 1 to 4 by 1"),
        ({"width": 3}, "'width' is no size"),
        ({"hidden_size": 24.0}, "not a whole number"),
        ({"head_dim": [3, 4]}, "one for each of 4 layers"),
        ({"hidden_size": 24, "max_params": 5}, "'max_params' is no size"),
        (7, "a name, limits or sizes"),
        ({}, "a name, limits or sizes"),
    ],
)
def test_what_is_outside_is_refused(folder, architecture, said):
    with pytest.raises(SuperNetError, match=said):
        AutoModel.from_pretrained(folder, architecture=architecture)


def test_contains_and_nearest():
    space = supernet().space
    assert space.contains(TWICE) and not space.contains(TWICE | {"hidden_size": 25})
    assert space.nearest(TWICE | {"hidden_size": 1000, "head_dim": 1}) == TWICE | {"hidden_size": 48, "head_dim": 3}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["supernet"]["box"].update(hidden_size=[12, 52, 4]), "does not fit the network"),
        (lambda c: c["supernet"]["box"].update(hidden_size=[16, 48, 4]), "one of them was changed"),
        (lambda c: c["supernet"]["depths"].update({"2": [0, 1]}), "one of them was changed"),
        (lambda c: c["supernet"]["depths"].update({"2": [0, 1, 2]}), "2'. is .0, 1, 2., not so many"),
        (lambda c: c["supernet"]["front"][0]["sizes"].update(hidden_size=20), "one of them was changed"),
        (lambda c: c["supernet"].update(box={}), "damaged: box is {}"),
        (lambda c: c["supernet"].update(more=1), "damaged"),
        (lambda c: c.update(vocab_size=101), "one of them was changed"),
        (lambda c: c["supernet"]["box"].update(head_dim=[]), r"box.head_dim is \[\], not least, largest and step"),
        (lambda c: c["supernet"]["box"].update(head_dim=[3, 12, True]), "box.head_dim"),
        (lambda c: c["supernet"]["depths"].update({"2": [0, 9]}), "different layers of 0 to 3"),
        (lambda c: c["supernet"].update(front=None), "front is None"),
        (lambda c: c["supernet"]["front"].append(c["supernet"]["front"][0]), "names that differ"),
        (lambda c: c["supernet"]["front"][0].update(name=None), r"front\[0\].name is None"),
        (lambda c: c["supernet"]["front"][0]["sizes"].update(num_hidden_layers=0), "sizes.num_hidden_layers is 0"),
        (lambda c: c["supernet"]["front"][0]["sizes"].update(head_dim=[3]), r"sizes.head_dim is \[3\]"),
        (lambda c: c["supernet"]["front"][0].update(scores=None), r"front\[0\].scores is None"),
        (lambda c: c["supernet"]["front"][1]["scores"].update(latency="fast"), "scores.latency is 'fast'"),
        (lambda c: c["supernet"].update(machine=3), "machine is 3"),
        (lambda c: c["supernet"]["quality"].pop("direction"), "quality is .* minimize or maximize"),
    ],
)
def test_an_edited_configuration_is_refused(folder, tmp_path, change, said):
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    change(config)
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(SuperNetError, match=said):
        AutoModel.from_pretrained(copy, architecture="2x")


@pytest.mark.parametrize("damage", ["short", "empty", "gone", "other shape"])
def test_damaged_files_are_refused(folder, tmp_path, damage):
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "supernet-002-0.safetensors"
    if damage == "other shape":
        metadata = json.loads(file.read_bytes()[8 : 8 + int.from_bytes(file.read_bytes()[:8], "little")])[
            "__metadata__"
        ]
        save_file({name: tensor[:-1].clone() for name, tensor in load_file(file).items()}, file, metadata)
    elif damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 1000 if damage == "short" else 0])
    with pytest.raises((SuperNetError, OSError), match="supernet-002-0"):
        AutoModel.from_pretrained(copy, architecture="2x")


def header_of(file):
    """The header of a safetensors file, and what our key of its metadata says."""
    raw = file.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return header, json.loads(header["__metadata__"]["supernet"])


def rewrite_header(file, header):
    raw, text = file.read_bytes(), json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + int.from_bytes(raw[:8], "little") :])


NORM = "autobert.encoder.layers.2.mixer_norm.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda header, facts: facts["shapes"].pop(NORM), f"its header and its tensors differ, as by {NORM}:below"),
        (lambda header, facts: header.pop(f"{NORM}:below"), "its header and its tensors differ"),
        (lambda header, facts: facts["shapes"].update({"encoder.layers.2.more.weight": [3]}), "that no layer has"),
        (lambda header, facts: facts["shapes"].update({NORM: [0]}), "none of a supernet"),
        (lambda header, facts: facts["shapes"].update({NORM: "a"}), "none of a supernet"),
        (lambda header, facts: header[f"{NORM}:below"].update(data_offsets=[-48, 0]), "has the shape"),
    ],
)
def test_tensors_that_do_not_match_the_declared_sizes_are_refused(folder, tmp_path, change, said):
    """In particular, no weight is left at random because a file does not list it."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "supernet-002-0.safetensors"
    header, facts = header_of(file)
    change(header, facts)
    header["__metadata__"]["supernet"] = json.dumps(facts)
    rewrite_header(file, header)
    with pytest.raises(SuperNetError, match=said):
        AutoModel.from_pretrained(copy, architecture="2x")


@pytest.mark.parametrize("header", [None, [], 3, "x" * 9])
def test_a_header_of_another_kind_is_refused(folder, tmp_path, header):
    copy = shutil.copytree(folder, tmp_path / "copy")
    rewrite_header(copy / "supernet-002-0.safetensors", header)
    with pytest.raises(SuperNetError, match="supernet-002-0.safetensors is damaged"):
        AutoModel.from_pretrained(copy, architecture="2x")


@pytest.mark.parametrize(("source", "said"), [("001-0", "of another layer"), ("002-1", "its header and its tensors")])
def test_exchanged_files_are_refused(folder, tmp_path, source, said):
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.copy(copy / f"supernet-{source}.safetensors", copy / "supernet-002-0.safetensors")
    with pytest.raises(SuperNetError, match=said):
        AutoModel.from_pretrained(copy, architecture="2x")


def read_bytes():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what Linux counts")
@pytest.mark.parametrize("sizes", ["2x", "3x", {"hidden_size": 208, "intermediate_size": 304, "num_hidden_layers": 3}])
def test_only_the_slice_is_read(tmp_path, sizes):
    config = AutoBertConfig(
        vocab_size=2000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    box = {"num_hidden_layers": [1, 4, 1], "hidden_size": [64, 256, 16], "intermediate_size": [64, 1024, 16]}
    box |= {"num_attention_heads": [4, 4, 1], "head_dim": [16, 64, 1]}
    half = {
        "num_hidden_layers": 2,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "head_dim": 40,
    }
    third = half | {"hidden_size": 80, "intermediate_size": 256, "head_dim": 24}
    front = [{"name": "2x", "sizes": half, "scores": {}}, {"name": "3x", "sizes": third, "scores": {}}]
    network = AutoBertForMaskedLM(config)
    AutoBertSuperNet.wrap(network, SuperNetSpace(box, {"2": [1, 3]}, front)).save_pretrained(tmp_path)
    AutoModelForMaskedLM.from_pretrained(tmp_path, architecture=sizes)  # imports, which are read as well
    before = read_bytes()
    model = AutoModelForMaskedLM.from_pretrained(tmp_path, architecture=sizes)
    read = read_bytes() - before
    size = sum(weights.numel() * 4 for weights in model.parameters())
    assert size < read < 1.1 * size


PULL = """
import sys
import autobert_hf
from transformers import AutoModelForMaskedLM
model = AutoModelForMaskedLM.from_pretrained("me/it", architecture="3x")
assert model.name_or_path == "me/it"
model.save_pretrained(sys.argv[1])
"""


@pytest.mark.timeout(120)
def test_small_sizes_download_small_files(tmp_path, monkeypatch):
    with Hub() as hub:
        environment = hub.environment(str(tmp_path / "home"))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        assert "/me/it/commit/" in supernet().push_to_hub("me/it", private=True)
        repo = hub.repos["models", "me/it"]
        there = repo.commits[repo.branches["main"]]
        assert b'"me/it", architecture="3x"' in there["README.md"]
        hub.log.clear()
        subprocess.run([sys.executable, "-c", PULL, str(tmp_path / "out")], env=os.environ | environment, check=True)
        got = {path.rpartition("/")[2] for method, path, status in hub.log if method == "GET" and status == 200}
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    equal(model, supernet().extract("3x"))
    got = {name for name in got if name.endswith(".safetensors")}
    assert got == {f"supernet-{place}-{level}.safetensors" for place in ("outer", "000", "002") for level in (0, 1)}
    sent, size = sum(len(there[name]) for name in got), sum(w.numel() * 4 for w in model.parameters())
    headers = sum(8 + int.from_bytes(there[name][:8], "little") for name in got)
    assert sent - headers < 1.1 * size


def test_the_card_names_every_point(folder):
    text = (folder / "README.md").read_text()
    assert "| 2x | 2 | 24 | 40 | 4 | 6 |" in text and "| 3x |" in text and "measured on a machine" in text
    assert "| latency | loss |" in text


def test_no_file_is_opened_for_other_levels(folder, monkeypatch):
    opened = []
    original = supernet_files.SuperNetFile.__init__
    monkeypatch.setattr(
        supernet_files.SuperNetFile,
        "__init__",
        lambda self, path, digest: opened.append(path.name) or original(self, path, digest),
    )
    AutoModel.from_pretrained(folder, architecture="smallest")
    assert sorted(opened) == ["supernet-000-0.safetensors", "supernet-outer-0.safetensors"]


@pytest.mark.parametrize("make", [AutoBertForMaskedLM, AutoModelForMaskedLM.from_config])
def test_a_network_made_from_a_supernet_configuration_is_saved_as_an_ordinary_one(tmp_path, make):
    config = AutoConfig.from_pretrained(saved(tmp_path / "supernet"))
    network = make(config)
    network.save_pretrained(tmp_path / "network")
    again = AutoBertForMaskedLM.from_pretrained(tmp_path / "network")
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
    assert again.config.supernet is None and config.supernet is not None


@pytest.mark.parametrize("limit", [{"max_params": "5M"}, {"max_latency": True}, {"max_params": None}])
def test_a_limit_that_is_no_number_is_a_sentence(limit):
    with pytest.raises(SuperNetError, match="not a number"):
        supernet().cut(limit)
