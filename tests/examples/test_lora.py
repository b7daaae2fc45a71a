"""Adapters: trained, saved, loaded, merged; with the plugin and without it."""

import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from autobert_hf.lab.data.builtin_text import task

from .conftest import EXAMPLES, write_table


# A finder that knows no autobert_hf stands for a Python on which it is not installed.
WITHOUT_US = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "autobert_hf":
            raise ModuleNotFoundError("No module named 'autobert_hf'", name=name)
sys.meta_path.insert(0, Nothing())
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def data(tmp_path):
    return write_table(tmp_path / "data", train=task("topic", 32, 0))


def changed(folder):
    """Names of the adapter's weights that training has moved away from what leaves the network as it was."""
    weights = load_file(folder / "adapter" / "adapter_model.safetensors")
    rest = {"lora_B": 0.0, "ia3_l": 1.0}
    return {name for name, value in weights.items() for kind in rest if kind in name and (value != rest[kind]).any()}


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_with_the_plugin_the_targets_are_known(run, encoder, data, tmp_path, method):
    names = run("lora.py", encoder, data, tmp_path / "out", "--method", method)
    for other in ("loaded", "alone"):
        assert (names[other] - names["trained"]).abs().max() < 1e-5
    moved = changed(tmp_path / "out")
    assert any(".mixer." in name for name in moved)
    assert (tmp_path / "out" / "merged" / "model.safetensors").is_file()


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_a_network_of_convolutions_alone(run, network, data, tmp_path, method):
    names = run("lora.py", network(layer_types=["conv", "conv"]), data, tmp_path / "out", "--method", method)
    assert (names["loaded"] - names["trained"]).abs().max() < 1e-5
    assert any(".mixer." in name for name in changed(tmp_path / "out"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("method", ["lora", pytest.param("ia3", marks=pytest.mark.slow)])
def test_without_the_plugin_all_linear(encoder, data, tmp_path, method):
    command = [sys.executable, "-c", WITHOUT_US.replace("sys.argv[0]", repr(str(EXAMPLES / "lora.py")))]
    command += [str(encoder), str(data), str(tmp_path / "out"), "--without-plugin", "--method", method]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    differences = [float(word.rstrip(",")) for word in done.stdout.splitlines()[-1].split() if word[0].isdigit()]
    assert len(differences) == 2 and max(differences) < 1e-5
    assert any("mixer" in name for name in changed(tmp_path / "out"))
