"""Sizes of a network that follow from its tokenizer."""

from accelerate import Accelerator
from transformers import BertTokenizer

from autobert_hf.lab.training.team import Team
from autobert_hf.searchers.settings import NetworkSettings


def test_embeddings_reach_to_the_largest_id_of_a_vocabulary_with_holes() -> None:
    words = {word: 3 * index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w"])}
    config = NetworkSettings("run").base(BertTokenizer(vocab=words), Team(Accelerator(cpu=True)))
    assert config.vocab_size == 16
