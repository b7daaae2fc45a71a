"""The README's Python runs as it stands there."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.commands.search import parse_settings
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.settings.given import settings_from


README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = AutoBertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    AutoBertForMaskedLM(config).save_pretrained("out/model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained("out/model")
    Path("block.py").write_text(BLOCKS[number])  # a function's source is read from where it stands
    names: dict[str, object] = {}
    exec(compile(BLOCKS[number], str(tmp_path / "block.py"), "exec"), names)
    assert names["model"].config.model_type == "autobert"


def test_there_are_blocks():
    assert len(BLOCKS) == 3


def test_a_space_and_a_function_in_ten_lines(tmp_path, monkeypatch):
    (block,) = [block for block in BLOCKS if "GridSpace" in block]
    code = [line for line in block.splitlines() if line.strip()]
    assert len(code) <= 10
    monkeypatch.chdir(tmp_path)
    Path("block.py").write_text(block)
    names: dict[str, object] = {}
    exec(compile(block, str(tmp_path / "block.py"), "exec"), names)
    study = names["study"]
    assert len({trial.architecture for trial in study.trials}) == 10
    assert names["model"].config.num_hidden_layers == study.best.architecture["num_hidden_layers"] == 4
    assert names["model"].num_parameters() > 0 and study.best.scores["parameters"] > 0


def test_the_call_is_the_command():
    """One settings object from the two lines that the README sets beside each other."""
    shell, python = re.search(r"autobert search (--method autotinybert.*)\nautobert_hf\.search(.*)\n", README).groups()
    call = ast.parse(f"search{python}", mode="eval").body
    given = {argument.arg: ast.literal_eval(argument.value) for argument in call.keywords}
    name = ast.literal_eval(call.args[0])
    assert settings_from(METHODS[name].Settings, {"method": name} | given) == parse_settings(shlex.split(shell))


def test_the_commands_exist():
    from autobert_hf.cli import COMMANDS

    called = set(re.findall(r"(?:autobert|-m autobert_hf) ([a-z]+)", README)) - {"import"}
    assert called <= set(COMMANDS), called - set(COMMANDS)
    assert "search" in called
