"""
MAGIC's claim on another modality (chain_study.py): scikit-learn's 8 x 8 images of handwritten digits, read as 64
tokens, one of 17 grey values each, classified from the mean of the last layer's states.

    python benchmarks/searchers/digits.py --layers 4 --output benchmarks/results/digits.json

Anchors are compared by accuracy, chains by their held-out cross entropy. Nothing is claimed of larger images.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator
from chain_study import add_arguments, run
from sklearn.datasets import load_digits
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from autobert_hf import AutoBertConfig
from autobert_hf.lab.data.batches import Batch
from autobert_hf.lab.losses.head_loss import HeadLoss
from autobert_hf.lab.losses.loss import Network
from autobert_hf.lab.training.team import Team
from autobert_hf.modeling.modeling_autobert import AutoBertModel, AutoBertPreTrainedModel
from autobert_hf.records.seeds import derive
from autobert_hf.searchers.spaces.chain import ChainSpace, main_operations


GREYS = 17
TRAINED = 1297  # images; the other 500 are held out


class MeanClassifier(AutoBertPreTrainedModel):
    """A classifier on the mean of all tokens: BERT's own reads the first token alone, here a corner of the image."""

    def __init__(self, config: AutoBertConfig) -> None:
        super().__init__(config)
        self.autobert = AutoBertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: Tensor, labels: Tensor, **kwargs: Any) -> SequenceClassifierOutput:
        states = self.autobert(input_ids=input_ids).last_hidden_state
        logits = self.classifier(states.mean(1))
        return SequenceClassifierOutput(loss=nn.functional.cross_entropy(logits, labels), logits=logits)


class DigitLoss(HeadLoss):
    head = MeanClassifier
    unit = "nats per image"

    @torch.no_grad()
    def accuracy(self, network: Network, batches: Sequence[Batch]) -> float:
        right = torch.cat([network(**batch).logits.argmax(-1) == batch["labels"] for batch in batches])
        return right.double().mean().item()


class Digits:
    def __init__(self, given: argparse.Namespace, team: Team) -> None:
        self.team, self.batch_size = team, given.batch_size
        images, labels = load_digits(return_X_y=True)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        ids = torch.tensor(images).long()[order] + 1  # 0 is padding
        self.ids, self.labels = ids, torch.tensor(labels)[order]
        self.held_out = [self.rows(part) for part in torch.arange(TRAINED, len(images)).split(125)]
        self.space = ChainSpace(main_operations(given.width, given.heads), given.layers, given.width)
        self.base = AutoBertConfig(
            vocab_size=GREYS + 1,
            hidden_size=given.width,
            num_hidden_layers=given.layers,
            norm_position="pre",
            num_attention_heads=given.heads,
            max_position_embeddings=64,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=10,
        )
        self.base._attn_implementation = "sdpa"

    def rows(self, chosen: Tensor) -> Batch:
        return {"input_ids": self.ids[chosen], "labels": self.labels[chosen]}

    def loss(self) -> DigitLoss:
        return DigitLoss(self.base)

    def stream(self, seed: int) -> Callable[[int], Batch]:
        def batch(step: int) -> Batch:
            rng = torch.Generator().manual_seed(derive(seed, step, "digits"))
            return self.rows(torch.randperm(TRAINED, generator=rng)[: self.batch_size])

        return batch

    def renew(self) -> None:
        """Nothing is kept between seeds."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=64)
    add_arguments(parser)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run(given, Digits(given, Team(Accelerator(cpu=True))), ("width", "heads", "batch_size"))


if __name__ == "__main__":
    main()
