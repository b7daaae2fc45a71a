"""Supernets go to the Hub with the checks and retries of a model's push."""

import json
import shutil

import pytest

from autobert_hf.cli import main
from autobert_hf.hub_cards import push as pushing
from autobert_hf.hub_cards import supernet_push
from autobert_hf.hub_cards.checks import PushError
from tests.modeling.supernet_cases import saved, supernet

from .test_push import files, hub, quick  # noqa: F401 (fixtures)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("supernet") / "model")


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture
def unloaded(monkeypatch):
    monkeypatch.setattr(supernet_push, "refuse_unequal", lambda folder: None)


def test_a_push_of_a_run_says_how_its_supernets_are_sent(hub, quick, unloaded, made, whole, capsys):  # noqa: F811
    assert main(["push", str(made.folder), "--repo-id", "me/name"]) == 0
    assert "supernet" not in capsys.readouterr().out
    places = [made.folder / "supernet" / name for name in ("model", "model-box-2")]
    for place in places:
        shutil.copytree(whole, place)
    assert main(["push", str(made.folder), "--repo-id", "me/name"]) == 0
    said = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition("autobert ")[2] for line in said] == [
        f"push {places[0]} --repo-id me/name-supernet",
        f"push {places[1]} --repo-id me/name-supernet-box-2",
    ]
    assert not [name for name in files(hub) if "supernet-0" in name]
    assert main(said[0].partition("autobert ")[2].split()) == 0
    there = files(hub, id="me/name-supernet")
    assert set(there) == {path.name for path in whole.iterdir()}
    assert b'from_pretrained("me/name-supernet", architecture=' in there["README.md"]


def test_what_a_supernet_that_is_pushed_is_checked_for(hub, unloaded, folder, capsys):  # noqa: F811
    (folder / "note.txt").write_text("from /home/somebody/x")
    assert main(["push", str(folder), "--repo-id", "me/name"]) == 1
    assert "note.txt, line 1 holds an absolute path" in capsys.readouterr().err
    (folder / "note.txt").unlink()
    assert main(["push", str(folder), "--repo-id", "me/name", "--with-trials"]) == 1
    assert "no search log" in capsys.readouterr().err
    assert main(["push", str(folder), "--repo-id", "me/name", "--dry-run"]) == 0
    assert "supernet-outer-0.safetensors" in capsys.readouterr().out
    (folder / "README.md").unlink()
    assert main(["push", str(folder), "--repo-id", "me/name"]) == 1
    assert "has no README.md" in capsys.readouterr().err
    assert hub.log == []


def test_a_supernet_that_does_not_load_back_is_not_sent(hub, folder):  # noqa: F811
    weights = folder / "supernet-000-0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(PushError, match="does not load: .*supernet-000-0.safetensors is damaged"):
        supernet_push.prepare_supernet(folder, "me/name")


def test_push_to_hub_waits_and_checks_as_well(hub, unloaded, monkeypatch):  # noqa: F811
    hub.busy = {"commit/main": 2, "repos/create": 1}
    it = supernet()
    url = it.push_to_hub("me/name", commit_message="mine")
    assert url.startswith(f"{hub.url}/me/name/commit/") and hub.calls("POST", "/commit/") == 1
    assert json.loads(files(hub)["config.json"])["supernet"]
    with pytest.raises(PushError, match="already exists and is public"):
        it.push_to_hub("me/name", private=True)
    with pytest.raises(PushError, match="does not accept your token"):
        it.push_to_hub("me/name", token="hf_" + "x" * 34)
    hub.busy = {"commit/main": 99}
    with pytest.raises(PushError, match="Run the same command again"):
        it.push_to_hub("me/other")
    assert sum(status == 429 for _, _, status in hub.log) == 3 + pushing.TRIES


def test_push_to_hub_sends_no_paths(hub, unloaded):  # noqa: F811
    it = supernet()
    it.space = type(it.space)(**{**it.space.to_json(), "reference": "/data/models/minilm"})
    with pytest.raises(PushError, match=r"README.md, line \d+ holds an absolute path"):
        it.push_to_hub("me/name")
    assert hub.log == []
