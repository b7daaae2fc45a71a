"""The smallest world that every part of a search fits into: spaces, networks, text and a teacher."""

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import BertConfig, BertModel, BertTokenizer, PreTrainedModel

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.corpus import Source, open_text, prepare
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses import LOSSES, Loss
from autobert_hf.lab.training.team import Team
from autobert_hf.records.goals import GOALS, Goals
from autobert_hf.searchers.spaces.autobert_zero import AutoBertZeroSpace
from autobert_hf.searchers.spaces.autodistil import AutoDistilSpace
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.spaces.chain import ChainSpace, identity, main_operations
from autobert_hf.searchers.spaces.lts import LtsSpace


LOSS = Goals((GOALS["loss"],))
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 32}
BASE = AutoBertConfig(vocab_size=60, max_position_embeddings=64, **SIZES)  # with BERT's dropout
ZERO = AutoBertZeroSpace(num_hidden_layers=3)
TINY = AutoTinyBertSpace.within(BASE, width_step=4, inner_step=8)
HEADS_KEPT = AutoTinyBertSpace.within(BASE, part_of_heads=True, width_step=4, inner_step=8)
CHAIN = ChainSpace(main_operations(24, heads=2) | {"ID": identity()}, 4, 24)
DISTIL = AutoDistilSpace.of(3, BASE)
LTS = LtsSpace(range(1, 4), range(8, 25, 8), range(16, 65, 8), (2, 4))
LAYERS_DIFFER = AutoTinyBertSpace.within(BASE, identical=False, width_step=4, inner_step=8)


def without_dropout(config: AutoBertConfig) -> AutoBertConfig:
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoBertConfig.from_dict(config.to_dict() | none)


@torch.no_grad()
def shaken(module: Any) -> Any:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return module


class World:
    """Text in the three kinds of rows, and a teacher that knows it, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "text.txt"
        self.file.write_text("\n\n".join(corpus(120, seed=0)))
        self.team = Team(Accelerator(cpu=True, mixed_precision="no"))
        self.texts: dict[str, Text] = {}
        self.tokenizer: BertTokenizer = self.text("packed").tokenizer
        self.base = without_dropout(
            AutoBertConfig.from_dict(BASE.to_dict() | {"vocab_size": len(self.tokenizer), "pad_token_id": 0})
        )
        self.teacher_folder = folder / "teacher"
        self._save_teacher()
        self.teacher = Teacher(str(self.teacher_folder), self.tokenizer, self.team.device)

    def text(self, rows: str) -> Text:
        if rows not in self.texts:
            tokenizer = str(self.folder / "packed" / "tokenizer") if self.texts else ""
            source = Source([str(self.file)], [], "", tokenizer, 200, 24, 0, rows)
            prepare(source, self.folder / rows)
            self.texts[rows] = open_text(source, self.folder / rows, 8, 16, 0, self.team.device)
        return self.texts[rows]

    def loss(self, name: str) -> Loss:
        kind = LOSSES[name]
        return kind(self.base_of(kind), self.teacher if kind.needs_teacher else None)

    def base_of(self, loss: Loss | type[Loss]) -> AutoBertConfig:
        return AutoBertConfig.from_dict(self.base.to_dict() | {"is_decoder": bool(loss.decoders)})

    def batch(self, rows: str) -> Batch:
        """Of eight rows, the first of which is asked something too."""
        batches = map(self.text(rows).stream("check"), range(99))
        return next(batch for batch in batches if "labels" not in batch or (batch["labels"][0] > 0).any())

    def network(self, loss: Loss) -> PreTrainedModel:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return shaken(loss.network(self.base_of(loss)))

    def _save_teacher(self) -> None:
        config = BertConfig(vocab_size=len(self.tokenizer), max_position_embeddings=64, initializer_range=0.2, **SIZES)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            BertModel(config, add_pooling_layer=False).save_pretrained(self.teacher_folder)
        self.tokenizer.save_pretrained(self.teacher_folder)
