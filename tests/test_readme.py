"""The README's Python runs as it stands there."""

import re
from pathlib import Path

import pytest
from transformers import BertTokenizer

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM


README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_python_blocks(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = AutoBertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    AutoBertForMaskedLM(config).save_pretrained("out/model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained("out/model")
    names: dict[str, object] = {}
    exec(compile(BLOCKS[number], "README.md", "exec"), names)
    assert names["model"].config.model_type == "autobert"


def test_there_are_blocks():
    assert len(BLOCKS) == 2


def test_the_commands_exist():
    from autobert_hf.cli import COMMANDS

    called = set(re.findall(r"(?:autobert|-m autobert_hf) ([a-z]+)", README)) - {"import"}
    assert called <= set(COMMANDS), called - set(COMMANDS)
    assert "search" in called
