"""Pushes over real HTTP, to a Hub on this machine; what is pulled from it loads in processes of their own."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from huggingface_hub import HfApi

from autobert_hf.commands.push import push_command
from autobert_hf.hub_cards import push as pushing
from autobert_hf.hub_cards.checks import PushError, refuse_secrets
from autobert_hf.hub_cards.push import prepare, push
from autobert_hf.modeling.modeling_autobert import AutoBertForMaskedLM

from .hub_server import TOKEN, Hub


@pytest.fixture
def hub(tmp_path, monkeypatch, undrawn):
    """A Hub that this process talks to as well."""
    with Hub() as hub:
        for name, value in hub.environment(str(tmp_path / "home")).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(pushing, "HfApi", lambda **given: HfApi(endpoint=hub.url, **given))
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        yield hub


@pytest.fixture
def quick(monkeypatch):
    """Without the process that loads the model as others will: it takes seconds, and has tests of its own."""
    monkeypatch.setattr(pushing, "refuse_unequal", lambda folder: None)


def files(hub, kind="models", id="me/name", branch="main"):
    repo = hub.repos[kind, id]
    return repo.commits[repo.branches[branch]]


def test_what_does_not_load_back_is_not_sent(hub, made, monkeypatch):
    def refuse(folder):
        raise PushError("not equal")

    monkeypatch.setattr(pushing, "refuse_unequal", refuse)
    with pytest.raises(PushError, match="not equal"):
        push(made.folder, "me/name")
    assert hub.log == []


def test_one_commit_with_everything(hub, made, quick):
    (url,) = push(made.folder, "me/name")
    assert url.startswith(f"{hub.url}/me/name/commit/")
    assert hub.calls("POST", "/commit/") == 1
    there = files(hub)
    model = made.folder / "model"
    assert (
        set(there) == {path.name for path in model.iterdir()} >= {"README.md", "config.json", "modeling_autobert.py"}
    )
    assert all(there[path.name] == path.read_bytes() for path in model.iterdir() if path.name != "README.md")
    text = there["README.md"].decode()
    assert 'from_pretrained("me/name", trust_remote_code=True)' in text
    assert "PATH_OR_ID" not in text
    assert "PATH_OR_ID" in (model / "README.md").read_text()


def test_a_second_push_sends_nothing_again(hub, made, quick):
    push(made.folder, "me/name")
    commits, uploads = hub.calls("POST", "/commit/"), hub.calls("PUT", "lfs")
    assert (commits, uploads) == (1, 1)
    (url,) = push(made.folder, "me/name")
    assert hub.calls("POST", "/commit/") == 1
    assert hub.calls("PUT", "lfs") == 1
    assert url.endswith(hub.repos["models", "me/name"].branches["main"])


def test_a_branch_and_a_private_repository(hub, made, quick):
    push(made.folder, "me/name", private=True, revision="v1")
    assert hub.repos["models", "me/name"].private
    assert files(hub, branch="v1")
    assert not files(hub)


def test_private_is_refused_where_the_repository_is_public(hub, made, quick):
    push(made.folder, "me/name")
    with pytest.raises(PushError, match="me/name already exists and is public"):
        push(made.folder, "me/name", private=True)


def test_a_connection_that_drops_in_mid_upload_is_finished_by_the_same_call_again(hub, made, quick):
    hub.drop = 6  # the client itself tries six times
    with pytest.raises(PushError, match="the connection to the Hub broke .* Run the same command again"):
        push(made.folder, "me/name")
    assert not files(hub)
    assert [call for call in hub.log if call[0] == "PUT"] == [
        ("PUT", call[1], 0) for call in hub.log if call[0] == "PUT"
    ]
    push(made.folder, "me/name")
    assert hub.calls("POST", "/commit/") == 1
    assert files(hub)["model.safetensors"] == (made.folder / "model" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("what", ["repos/create", "preupload", "commit/main", "objects/batch"])
def test_told_to_wait_it_waits(hub, made, quick, what):
    hub.busy = {what: 2}
    push(made.folder, "me/name")
    assert [status for method, path, status in hub.log if what in path].count(429) == 2
    assert hub.calls("POST", "/commit/") == 1


def test_told_to_wait_for_ever_it_gives_up(hub, made, quick):
    hub.busy = {"commit/main": 99}
    with pytest.raises(PushError, match="the Hub takes no more requests from you for now. Run the same command again"):
        push(made.folder, "me/name")
    assert sum(status == 429 for _, _, status in hub.log) == pushing.TRIES


@pytest.mark.parametrize(
    ("token", "sentence"), [("hf_" + "x" * 34, "the Hub does not accept your token"), ("", "you are not logged in")]
)
def test_401_says_what_to_do_and_shows_no_token(hub, made, quick, monkeypatch, capsys, token, sentence):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(PushError, match=f"{sentence}.*`hf auth login`") as refused:
        push_command([str(made.folder), "--repo-id", "me/name"])
    shown = capsys.readouterr()
    assert not token or token not in shown.out + shown.err + str(refused.value)
    assert not hub.repos


def test_what_the_hub_says_of_the_metadata_is_passed_on(hub, made, quick):
    made.settings["license"] = "nonsense"
    made.write()
    with pytest.raises(PushError, match='me/name: Invalid metadata in README.md. - "license" must be one of a list'):
        push(made.folder, "me/name")


def test_a_dry_run_sends_nothing(hub, made, quick, capsys):
    options = ["--repo-id", "me/name", "--with-trials", "--dry-run", "--revision", "v1"]
    assert push_command([str(made.folder), *options]) == 0
    shown = capsys.readouterr().out
    size = (made.folder / "model" / "model.safetensors").stat().st_size
    assert f"{size:,} bytes  model.safetensors" in shown
    assert "model me/name, branch v1 (public: everybody can read all of it)" in shown
    assert "dataset me/name-trials, branch v1 (public" in shown
    assert "trials.parquet" in shown
    assert hub.log == []


PATHS = (
    *('"/data/models/minilm"', "=/mnt/nfs/x", "/tmp/task/train.csv", "C:\\data\\minilm", '"D:\\\\data\\\\minilm"'),
    *("C:/data/minilm", "file:///data/minilm", "~/models/minilm", "~bob/minilm", "\\\\server\\share\\minilm"),
)
HARMLESS = (
    *(
        "https://huggingface.co/me/name",
        "time / reference",
        "and/or/both",
        "#!/usr/bin/env python",
        "me/name",
        "./a/b",
    ),
    *(
        "http://www.apache.org/licenses/LICENSE-2.0",
        "</div>",
        "1/2/3",
        "q @ k.T / sqrt(d)",
        "~ 3",
        "Q:\\n\\nA",
        "x: 1",
    ),
    *("s3://bucket/data/x", "application/json", "$\\frac{a}{b}$", "../a/b"),
)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_path_may_be_published(text):
    refuse_secrets("note.txt", f"It says {text} here.".encode())
    refuse_secrets("note.json", json.dumps({"it": text}).encode())


def test_chance_in_a_binary_file_is_no_path():
    refuse_secrets("figure.png", b"\x89PNG\0\0 /Q1/x ~/a C:\\ab\\c")
    with pytest.raises(PushError, match="holds an absolute path"):
        refuse_secrets("figure.png", b"\x89PNG\0\0 /home/somebody/x")


@pytest.mark.parametrize("place", ["README.md", "tokenizer_config.json", "note.txt"])
@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("/home/somebody/text.txt", "an absolute path"),
        ("C:\\\\Users\\\\Somebody", "an absolute path"),
        ("/Users/Somebody/text.txt", "an absolute path"),
        ("/".join(["", "root", "data"]), "an absolute path"),
        *((path, "an absolute path") for path in PATHS),
        (str(Path.home() / "data"), "an absolute path"),
        ("hf_" + "aB3" * 12, "an access token"),
        (TOKEN, "an access token"),
        *((f"gh{kind}_" + "aB3" * 12, "an access token") for kind in "pousr"),
        ("-----BEGIN RSA PRIVATE KEY-----", "an access token"),
    ],
)
def test_secrets_stay_here(hub, made, quick, place, secret, sentence):
    path = made.folder / "model" / place
    if place == "README.md":
        prepare(made.folder, "me/name")  # writes it
    path.write_text((path.read_text() if path.exists() else "") + f"\n{secret}\n")
    with pytest.raises(PushError, match=f"{place}.* holds .*{sentence}") as refused:
        push(made.folder, "me/name")
    assert secret not in str(refused.value)
    assert hub.log == []


def test_a_secret_in_the_journal_or_in_the_weights_header(hub, made, quick):
    from safetensors.torch import load_file, save_file

    made.trials[3] = replace(made.trials[3], reason="cannot open /home/somebody/x")
    made.write()
    push(made.folder, "me/name")
    with pytest.raises(PushError, match="journal.jsonl, line 4 holds an absolute path"):
        push(made.folder, "me/name", with_trials=True)
    weights = made.folder / "model" / "model.safetensors"
    save_file(load_file(weights), weights, {"format": "pt", "from": "/home/somebody/x"})
    with pytest.raises(PushError, match="model.safetensors, line 1 holds an absolute path"):
        push(made.folder, "me/name")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("---\nlibrary_name: transformers", "---\nlibrary_name: [1"), "its metadata cannot be read"),
        (("---\nlibrary_name: transformers", "---\nlibrary_name: 3"), "library_name is 3"),
        (("---\nlibrary_name", "---\nbase_model: a b c\nlibrary_name"), "base_model is 'a b c'"),
        (("---\nlibrary_name", "library_name"), "no metadata between"),
    ],
)
def test_metadata_that_does_not_validate(hub, made, quick, change, sentence):
    prepare(made.folder, "me/name")
    card = made.folder / "model" / "README.md"
    card.write_text(card.read_text().replace(*change, 1))
    with pytest.raises(PushError, match=sentence):
        push(made.folder, "me/name")
    assert hub.log == []


def test_an_id_that_is_none_and_a_run_without_model(made):
    with pytest.raises(ValueError, match="Repo id must"):
        prepare(made.folder, "me/na/me")
    (made.folder / "model" / "config.json").unlink()
    with pytest.raises(PushError, match="holds no model yet"):
        prepare(made.folder, "me/name")


LOAD = """
import json, sys, torch
sys.modules["autobert_hf"] = None  # not installed
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
remote = json.loads(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], revision=sys.argv[2], **remote)
batch = tokenizer("word3 [MASK] word5", return_tensors="pt")
with torch.no_grad():
    logits = AutoModelForMaskedLM.from_pretrained(sys.argv[1], revision=sys.argv[2], **remote).eval()(**batch).logits
    AutoModel.from_pretrained(sys.argv[1], revision=sys.argv[2], **remote)
print(json.dumps(logits[0, 2].tolist()))
"""


def in_a_fresh_process(hub, home, code, *arguments):
    """The list that `code` prints last."""
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"} | hub.environment(str(home))
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=110
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def expected(made):
    from transformers import AutoTokenizer

    batch = AutoTokenizer.from_pretrained(made.folder / "model")("word3 [MASK] word5", return_tensors="pt")
    model = AutoBertForMaskedLM.from_pretrained(made.folder / "model").eval()
    with torch.no_grad():
        return model(**batch).logits[0, 2].tolist()


def test_round_trip_without_the_plugin(hub, made, tmp_path, quick):
    """Private, at a revision, loaded by somebody who has not installed us."""
    push(made.folder, "me/name", private=True, revision="v1")
    found = in_a_fresh_process(hub, tmp_path / "other", LOAD, "me/name", "v1", '{"trust_remote_code": true}')
    assert found == pytest.approx(expected(made), abs=1e-5)


def test_round_trip_of_stock_grade_needs_no_remote_code(hub, made, tmp_path, quick):
    wanted = []
    for stock in (False, True):
        made.save(stock=stock, num_hidden_layers=2)
        wanted = wanted or expected(made)
    push(made.folder, "me/name")
    assert not [name for name in files(hub) if name.endswith(".py")]
    assert in_a_fresh_process(hub, tmp_path / "other", LOAD, "me/name", "main", "{}") == pytest.approx(
        wanted, abs=1e-5
    )


def test_a_network_in_a_subfolder_loads_without_the_plugin(hub, made, tmp_path, quick):
    """Beside a stock network, so that the repository would have no code at its root."""
    wanted = expected(made)
    (made.folder / "model").rename(tmp_path / "small")
    made.save(stock=True, num_hidden_layers=2)
    (tmp_path / "small").rename(made.folder / "model" / "small")
    push(made.folder, "me/name")
    assert files(hub)["modeling_autobert.py"] == files(hub)["small/modeling_autobert.py"]
    how = '{"trust_remote_code": true, "subfolder": "small"}'
    found = in_a_fresh_process(hub, tmp_path / "other", LOAD, "me/name", "main", how)
    assert found == pytest.approx(wanted, abs=1e-5)


DOWNLOAD = """
import json, os, sys
from huggingface_hub import snapshot_download
try:
    folder = snapshot_download(sys.argv[1])
    print(json.dumps(sorted(os.listdir(folder))))
except OSError as error:
    print(json.dumps([error.errno, str(error)]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is made by mounting one, which takes root")
def test_a_disk_that_is_full_on_download(hub, made, tmp_path, quick):
    """One sentence; with more room the same call finishes."""
    push(made.folder, "me/name")
    home = tmp_path / "small"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(home)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        number, sentence = in_a_fresh_process(hub, home, DOWNLOAD, "me/name")
        assert number == errno.ENOSPC
        assert "No space left on device" in sentence
        subprocess.run(["mount", "-o", "remount,size=16m", str(home)], check=True)
        assert in_a_fresh_process(hub, home, DOWNLOAD, "me/name") == sorted(files(hub))
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


TRIALS = """
import json, sys
from datasets import load_dataset
trials = load_dataset(sys.argv[1], split="train")
print(json.dumps([trials.column_names, trials[0], trials[9], len(trials)]))
"""


def test_round_trip_of_the_trials(hub, made, tmp_path, quick):
    push(made.folder, "me/name", with_trials=True)
    assert hub.calls("POST", "/commit/") == 2
    assert "[me/name-trials](https://huggingface.co/datasets/me/name-trials)" in files(hub)["README.md"].decode()
    names, first, failed, number = in_a_fresh_process(hub, tmp_path / "other", TRIALS, "me/name-trials")
    assert number == len(made.trials)
    assert {"trial", "parent", "mutation", "seed", "status", "config", "score_loss", "cost_seconds"} <= set(names)
    trial = made.trials[0]
    assert (first["seed"], first["parent"], first["score_loss"]) == (trial.seed, None, trial.scores["loss"])
    assert (failed["status"], failed["score_loss"], failed["reason"]) == ("failed", None, "the loss is nan")
