"""
MAGIC's claim at a small size (chain_study.py). The truth is block distillation from a real teacher: each chain is
trained alone from the teacher's states after one layer to those after another.

    python benchmarks/searchers/magic.py --teacher PATH_OR_ID --train-file sentences.parquet \
        --validation-file held_out.parquet --minutes 200

`truth` trains `--chains` chains, alike many with each number of attention layers, once for every seed. `supernets`
trains a supernet for every policy and seed, and scores the same chains with its weights. Controls: the number of
attention layers, and the truth's other seed. Resumes: what is in the output is not made again.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import Accelerator
from chain_study import add_arguments, run

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.data.corpus import open_text, prepare
from autobert_hf.lab.data.source import Source
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.distilling.teacher_cache import TeacherCache
from autobert_hf.lab.losses.blocks import BlockDistillation
from autobert_hf.lab.training.team import Team
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations


ATTENTION = 4 * 12  # heads times four: a width has to be a multiple
CACHED = 6 * 2**30  # bytes of the teacher's states


class TeachersBlock:
    """All networks of a seed see the same batches, those of another seed others, for which the cache is emptied."""

    def __init__(self, given: argparse.Namespace, text: Text, team: Team) -> None:
        self.borders, self.text, self.team = given.borders, text, team
        self.held_out = text.held_out
        self.teacher = Teacher(given.teacher, text.tokenizer, team.device)
        self.space = ChainSpace(main_operations(given.width), given.layers, given.width)
        self.base = AutoBertConfig(
            vocab_size=len(text.tokenizer),
            hidden_size=given.width,
            num_hidden_layers=given.layers,
            norm_position="pre",
            num_attention_heads=12,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.base._attn_implementation = "sdpa"

    def loss(self) -> BlockDistillation:
        loss = BlockDistillation(self.base, self.teacher, self.borders)
        loss.fit([], self.text.fitting_batches("ridge"))
        return loss

    def stream(self, seed: int) -> Callable[[int], Batch]:
        return self.text.with_seed(seed).stream("train")

    def renew(self) -> None:
        self.teacher.cache = TeacherCache(self.team.device.type, CACHED)


def parser_of_texts(description: str | None) -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=formatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--train-file", required=True, help="A sentence a row.")
    parser.add_argument("--validation-file", required=True)
    parser.add_argument("--borders", type=int, nargs=2, default=[3, 6], help="Layers of the teacher.")
    parser.add_argument("--width", type=int, default=192, help=f"A multiple of {ATTENTION}.")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--held-out-rows", type=int, default=128)
    parser.add_argument("--work", type=Path, default=Path("runs/magic"))
    return parser


def open_task(given: argparse.Namespace) -> TeachersBlock:
    source = Source(
        [given.train_file], [given.validation_file], "", given.teacher, 0, given.length, seed=0, rows="texts"
    )
    prepare(source, given.work / "text")
    team = Team(Accelerator(cpu=True))
    text = open_text(source, given.work / "text", given.batch_size, given.held_out_rows, 0, team.device)
    return TeachersBlock(given, text, team)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = parser_of_texts(__doc__)
    add_arguments(parser)
    parser.set_defaults(output=Path("benchmarks/results/magic.json"))
    given = parser.parse_args(arguments)
    run(given, open_task(given), ("borders", "width", "batch_size", "length", "held_out_rows"))


if __name__ == "__main__":
    main()
