"""A small world for searchers: words a toy model can learn, a space of three layers, a supernet, a run, commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import named_tensors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.tensor_files import write_tensors
from autobert_hf.searchers.evaluators.biws import Biws
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.supernets.branched import BranchedSupernet


@pytest.fixture(scope="module", autouse=True)
def quick_cards(without_rendering: object) -> None:
    """Figures are rendered by tests of cards and of commands, and here where the fixture `rendering` is asked for."""


class SmallSpace(AutoBertZeroSpace):
    def of_kernels(self, *kernels: int) -> Architecture:
        sizes = (kernels * self.num_hidden_layers)[: self.num_hidden_layers]
        return Architecture.of([{"layer_type": "conv", "conv_kernel_size": size} for size in sizes])


@pytest.fixture
def space() -> SmallSpace:
    return SmallSpace(num_hidden_layers=3)


@pytest.fixture
def base() -> AutoBertConfig:
    return AutoBertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


@pytest.fixture
def supernet(space: SmallSpace, base: AutoBertConfig) -> BranchedSupernet:
    return BranchedSupernet(space, base, seed=0)


@pytest.fixture
def batches(tokenizer: BertTokenizer) -> MaskedBatches:
    start = torch.arange(64) % 50
    rows = 5 + (start[:, None] + torch.arange(24)) % 50  # counting: every word follows from its neighbours
    return MaskedBatches(rows, tokenizer, batch_size=8, seed=1)


@pytest.fixture
def text(batches: MaskedBatches, team: Team) -> Text:
    return Text(batches.tokenizer, batches, batches.held_out(16), 3.9, team.device)


def begin(biws: Biws, tokens: int = 0) -> Biws:
    """At round 0, with the weights that the supernet has; a warm-up has seen so many tokens."""
    modules = {"model": biws.supernet.module, "loss": biws.loss}
    tensors = {f"{kind}.{name}": t for kind, module in modules.items() for name, t in named_tensors(module).items()}
    write_tensors(biws.round_file(0), tensors, tokens=tokens)
    biws.start_round(0)
    return biws


@pytest.fixture
def loss(base: AutoBertConfig) -> MaskedWords:
    return MaskedWords(base)


@pytest.fixture
def run(tmp_path: Path, team: Team) -> Run:
    return Run(tmp_path / "run", seed=0, team=team)


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A teacher of three layers that knows nothing yet, with its tokenizer, in a folder of sentence-transformers. Its
    weights are ten times as large as BERT's at the start, so that every layer changes something.
    """
    folder = tmp_path_factory.mktemp("teacher")
    tokenizer = train_tokenizer(corpus(200, seed=0), 200, 64)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.2, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 48, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def options(settings: dict[str, Any]) -> list[str]:
    """As the command line takes them."""
    return [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]


class Runner:
    """The other side of runner.py: commands in processes of their own, whose imports are done already."""

    def __init__(self, work: Path) -> None:
        self.work, self.file = work, work / "log"
        environment = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("runner.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def __call__(self, command: list[str], **request: Any) -> int:
        """The exit code of `autobert COMMAND`; what else a request may hold is said in runner.py."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = json.dumps({"command": command, "log": str(self.file)} | request)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["code"]

    @property
    def log(self) -> str:
        """What the last command said."""
        return self.file.read_text()

    def text(self, documents: int) -> Path:
        """So many documents of the built-in text in a file."""
        path = self.work / f"{documents}.txt"
        if not path.exists():
            path.write_text("\n\n".join(corpus(documents, seed=0)))
        return path

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner(tmp_path_factory.mktemp("runner"))
    yield runner
    runner.close()
