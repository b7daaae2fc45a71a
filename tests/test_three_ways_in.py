"""Stock, plugin and remote code: each way of loading in a process of its own."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import autobert_hf
from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.modeling.configuration_autobert import AUTO_MAP
from autobert_hf.modeling.convert import to_bert
from autobert_hf.modeling.required_transformers import check_transformers


IDS = [[5, 9, 17, 3, 30, 8, 2]]
SIZES = {"vocab_size": 40, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 32}

# A finder that knows no autobert_hf stands for a Python on which it is not installed.
WITHOUT_US = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "autobert_hf":
            raise ModuleNotFoundError("No module named 'autobert_hf'", name=name)
sys.meta_path.insert(0, Nothing())
"""


def in_a_fresh_process(code: str, cache: Path) -> list[float]:
    """Runs `code`, which prints a JSON list at the end."""
    environment = {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=cache, timeout=110
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def plugin_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    config = AutoBertConfig(
        **SIZES,
        num_hidden_layers=3,
        layer_types=["conv", "full_attention", "hybrid"],
        per_layer_config={1: {"attention_formula": "q @ (softplus(k).T @ v)"}, 2: {"qkv_conv_size": 3}},
    )
    return saved(AutoBertForMaskedLM(config).eval(), tmp_path_factory.mktemp("plugin"))


def saved(model: torch.nn.Module, folder: Path) -> tuple[Path, list[float]]:
    model.save_pretrained(folder)
    with torch.no_grad():
        return folder, model(torch.tensor(IDS)).logits[0, 0].tolist()


LOAD = """
import json, torch
from transformers import AutoModelForMaskedLM
model = AutoModelForMaskedLM.from_pretrained({folder!r}{options}).eval()
with torch.no_grad():
    print(json.dumps(model(torch.tensor({ids})).logits[0, 0].tolist()))
"""


def test_stock_grade_needs_transformers_alone(tmp_path):
    model = AutoBertForMaskedLM(AutoBertConfig(**SIZES, num_hidden_layers=2)).eval()
    folder, logits = saved(to_bert(model), tmp_path / "stock")
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(logits), model(torch.tensor(IDS)).logits[0, 0], atol=1e-5, rtol=1e-5)
    found = in_a_fresh_process(WITHOUT_US + LOAD.format(folder=str(folder), options="", ids=IDS), tmp_path)
    assert found == pytest.approx(logits, abs=1e-5)


@pytest.mark.parametrize("options", ["", ", trust_remote_code=True"])
def test_plugin_grade_after_the_import_runs_no_remote_code(plugin_model, tmp_path, options):
    folder, logits = plugin_model
    code = "import autobert_hf\n" + LOAD.format(folder=str(folder), options=options, ids=IDS)
    code += "\nassert type(model).__module__ == 'autobert_hf.modeling.modeling_autobert'"
    assert in_a_fresh_process(code, tmp_path) == pytest.approx(logits, abs=1e-5)
    assert not list(tmp_path.rglob("modeling_autobert*"))


def test_remote_code_loads_every_head_without_us(plugin_model, tmp_path):
    folder, logits = plugin_model
    code = WITHOUT_US + LOAD.format(folder=str(folder), options=", trust_remote_code=True", ids=IDS)
    code += f"""
import transformers
names = {sorted(set(AUTO_MAP) - {"AutoConfig", "AutoModelForCausalLM"})}
for name in names:
    head = getattr(transformers, name).from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
    assert head.config.model_type == "autobert" and "autobert_hf" not in sys.modules
print(json.dumps(model(torch.tensor({IDS})).logits[0, 0].tolist()))
"""
    assert in_a_fresh_process(code, tmp_path) == pytest.approx(logits, abs=1e-5)


@pytest.mark.parametrize("way", ["plugin", "remote code"])
def test_random_weights_warn_in_a_fresh_process(tmp_path, way):
    AutoBertForMaskedLM(AutoBertConfig(**SIZES, num_hidden_layers=2, untrained=True)).save_pretrained(
        tmp_path / "model"
    )
    start, options = ("import autobert_hf\n", "") if way == "plugin" else (WITHOUT_US, ", trust_remote_code=True")
    code = start + LOAD.format(folder=str(tmp_path / "model"), options=options, ids=IDS)
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(Path(autobert_hf.__file__).parents[1])} if way == "plugin" else {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("are random: its architecture was found by a search that trains nothing") == 1


def test_without_the_plugin_and_without_trust_nothing_runs(plugin_model, tmp_path):
    folder, _ = plugin_model
    code = WITHOUT_US + LOAD.format(folder=str(folder), options=", trust_remote_code=False", ids=IDS)
    with pytest.raises(AssertionError, match="trust_remote_code"):
        in_a_fresh_process(code, tmp_path)


def test_the_files_beside_the_weights_import_torch_and_transformers_only(plugin_model):
    folder, _ = plugin_model
    assert {"configuration_autobert.py", "modeling_autobert.py", "formula.py"} <= {p.name for p in folder.glob("*.py")}
    roots = set()
    for node in (node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(str(node.module).split(".")[0])
    assert roots - sys.stdlib_module_names <= {"torch", "transformers", "huggingface_hub", "safetensors"}
    assert json.loads((folder / "config.json").read_text())["auto_map"] == AUTO_MAP
    assert not list(folder.glob("*.bin")) and list(folder.glob("*.safetensors"))


OTHER_VERSION = "import transformers\ntransformers.__version__ = {version!r}\n"


@pytest.mark.parametrize("version", ["4.57.3", "5.23.0", "6.0.0", "6.0.0.dev0"])
@pytest.mark.parametrize("way", ["plugin", "remote code", "remote modelling file"])
def test_another_transformers_is_refused_by_one_sentence(plugin_model, tmp_path, version, way):
    folder, _ = plugin_model
    installed = OTHER_VERSION.format(version=version)
    code = {
        "plugin": installed + "import autobert_hf",
        "remote code": WITHOUT_US
        + installed
        + LOAD.format(folder=str(folder), options=", trust_remote_code=True", ids=IDS),
        "remote modelling file": WITHOUT_US
        + installed
        + "from transformers.dynamic_module_utils import get_class_from_dynamic_module\n"
        + f"get_class_from_dynamic_module('modeling_autobert.AutoBertModel', {str(folder)!r})",
    }[way]
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=110)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: AutoBert networks need transformers >= 5.24 and < 6, but transformers {version} is installed: "
        "run `pip install 'transformers>=5.24,<6'`."
    )


@pytest.mark.parametrize("version", ["5.24.0", "5.24.0.dev0", "5.31.2", "5.100"])
def test_any_newer_transformers_of_this_major_version_runs(version):
    check_transformers(version)
