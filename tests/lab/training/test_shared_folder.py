"""A run's folder, seen by all of its processes or by none."""

from threading import Timer

import pytest

from autobert_hf.lab.training import shared_folder
from autobert_hf.lab.training.shared_folder import check_shared
from autobert_hf.records.run_folder import RunError, RunFolder

from ...searchers.several import together


def opened(folder):
    folder.open({"seed": 0}, {"train": {"mine": "1"}}, {"num_trials": 4})


@pytest.mark.parametrize("size", [1, 3])
def test_one_folder_of_all(tmp_path, size):
    def work(team):
        with shared_folder.shared_folder(tmp_path / "run", team, {"seed": 0}, opened):
            if team.is_main:
                with pytest.raises(RunError, match="in use"):
                    RunFolder(tmp_path / "run").open({}, {})
            team.wait()
        return team.rank

    assert together(size, work) == [*range(size)]
    folder = RunFolder(tmp_path / "run")
    assert folder.read("run.json")["inputs"] == {"train": {"mine": "1"}}
    assert folder.read("local.json")["num_trials"] == 4
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "local.json", "run.json"]
    opened(folder)  # free again


def test_processes_with_different_settings_are_refused_by_name(tmp_path):
    """As of two machines of which one was given another --seed, or --num-trials."""

    def work(team):
        given = {"method": "lts", "num_trials": 4 + (team.rank == 2)}
        refused = pytest.raises(RunError, match="num_trials is 4 in process 0 and 5 in process 2.*on every machine")
        with refused, shared_folder.shared_folder(tmp_path / "run", team, given, opened):
            pass

    together(3, work)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("there", [True, False], ids=["another folder there", "none"])
def test_a_folder_that_some_do_not_see_is_refused_by_name(tmp_path, monkeypatch, there):
    monkeypatch.setattr(shared_folder, "PATIENCE", 0.3)
    (tmp_path / "a").mkdir()
    if there:
        (tmp_path / "b").mkdir()

    def work(team):
        with pytest.raises(RunError) as refused:
            check_shared(tmp_path / ("b" if team.rank == 2 else "a"), team)
        return str(refused.value)

    first, *others = together(3, work)
    assert others == [first] * 2, "all end, with one sentence"
    assert f":{tmp_path / 'a'}: what the first process writes does not appear for process 2 at" in first
    assert f":{tmp_path / 'b'}. Give an --output-dir that all machines share" in first
    assert [*(tmp_path / "a").iterdir()] == []


def test_a_name_that_appears_late_is_seen(tmp_path):
    """Network file systems take their time."""
    Timer(0.5, (tmp_path / "late").mkdir).start()
    assert shared_folder._appears(tmp_path / "late")
