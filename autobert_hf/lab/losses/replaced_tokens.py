"""Replaced-token detection (ELECTRA, Clark et al., 2020)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear
from transformers import PreTrainedConfig

from autobert_hf.lab.data.batches import Batch, Text
from autobert_hf.lab.distilling.signals import encoder_inputs, real_tokens
from autobert_hf.lab.losses.loss import Loss, Losses, Network, Step, model_of
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.modeling_autobert import (
    AutoBertForReplacedTokenDetection,
    AutoBertModel,
    AutoBertPredictionHead,
)
from autobert_hf.records.seeds import derive


WEIGHT = 50  # of the discriminator's term; the paper's
SHARE = 4  # the generator's width is that of the network over this


class Generator(nn.Module):
    """
    A masked language model of a quarter of the student's width, with the word embeddings of the student. Its initial
    weights are always the same.
    """

    def __init__(self, student: PreTrainedConfig) -> None:
        super().__init__()
        width = max(student.hidden_size // SHARE, 1)
        heads = max(student.num_attention_heads // SHARE, 1)
        config = AutoBertConfig(
            vocab_size=student.vocab_size,
            pad_token_id=student.pad_token_id,
            embedding_size=getattr(student, "embedding_size", student.hidden_size),
            hidden_size=width - width % heads or heads,
            num_hidden_layers=student.num_hidden_layers,
            num_attention_heads=heads,
            intermediate_size=max(student.intermediate_size // SHARE, 1),
            max_position_embeddings=student.max_position_embeddings,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = AutoBertModel(config, add_pooling_layer=False)
            self.head = AutoBertPredictionHead(config)
            self.head.apply(self.encoder._init_weights)
        del self.encoder.embeddings.word_embeddings  # and the head's matrix: both are the student's
        self.head.decoder = nn.Identity()  # type: ignore[assignment]
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, batch: Batch, words: nn.Embedding) -> Tensor:
        """Logits (labelled, vocab_size)."""
        inputs = encoder_inputs(batch)
        embedded = words(inputs.pop("input_ids"))
        states = self.encoder(**inputs, inputs_embeds=embedded).last_hidden_state
        return linear(self.head(states[batch["labels"] != -100]), words.weight, self.bias)


class ReplacedTokens(Loss):
    """
    The generator names masked tokens, and the network tells which of its answers are not the original ones: a mean
    cross entropy over labelled tokens, plus 50 times one over all real tokens. Answers are drawn from the generator's
    probabilities, without gradient; the draws follow from the step and the row, so that shards do not change them.
    As in BERT, and unlike in the paper, 80 % of the labelled tokens are masked for the generator.
    """

    unit = "nats per masked token of the generator, and 50 times nats per token"
    rows = "packed"
    head = AutoBertForReplacedTokenDetection

    def __init__(self, student: PreTrainedConfig, teacher: object = None) -> None:
        super().__init__(student)
        self.generator = Generator(student)

    def items(self, batch: Batch) -> dict[str, int]:
        return {"generator": int((batch["labels"] != -100).sum()), "replaced": int(real_tokens(batch).sum())}

    def forward(self, batch: Batch, items: Mapping[str, int], step: Step) -> Losses:
        labels = batch["labels"][batch["labels"] != -100]

        def losses(network: Network) -> dict[str, Tensor]:
            logits = self.generator(batch, _words(network)).float()
            answered = self.answered(batch, logits, step)
            told = network(**answered, num_items_in_batch=items["replaced"]).loss
            named = cross_entropy(logits, labels, reduction="sum") / max(items["generator"], 1)
            return {"generator": named, "replaced": WEIGHT * told}

        return losses

    @torch.no_grad()
    def answered(self, batch: Batch, logits: Tensor, step: Step) -> Batch:
        """The batch with the generator's answers, labelled 1 where they are not the original tokens."""
        labelled = batch["labels"] != -100
        original = torch.where(labelled, batch["labels"], batch["input_ids"])
        rows = zip(original, labelled, strict=True)
        noise = torch.cat([_noise(row, own, len(self.generator.bias), step) for row, own in rows])
        found = original.clone()
        found[labelled] = (logits - (-noise.to(logits.device).log()).log()).argmax(-1)  # Gumbel: a draw of softmax
        return batch | {"input_ids": found, "labels": (found != original).long()}

    @torch.no_grad()
    def accuracy(self, network: Network, batches: Sequence[Batch]) -> float:
        right, tokens = 0, 0
        for batch in batches:
            answered, real = self.answered(batch, self.generator(batch, _words(network)), Step()), real_tokens(batch)
            found = network(**answered).logits > 0
            right, tokens = right + int((found == answered["labels"])[real].sum()), tokens + int(real.sum())
        return right / max(tokens, 1)

    def floor(self, text: Text) -> None:
        """Unknown: it depends on how good the generator is."""


def _words(network: Network) -> nn.Embedding:
    words = model_of(network).get_input_embeddings()
    assert isinstance(words, nn.Embedding)
    return words


def _noise(row: Tensor, labelled: Tensor, words: int, step: Step) -> Tensor:
    """(labelled tokens of the row, words), uniform in (0, 1)."""
    rng = torch.Generator().manual_seed(derive(step.seed, step.number, "answers", *row.tolist()))
    return torch.rand(int(labelled.sum()), words, generator=rng).clamp(min=1e-20)
