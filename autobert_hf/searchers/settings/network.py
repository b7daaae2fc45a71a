"""Settings of the network outside the searched part."""

from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.text import vocabulary_size
from autobert_hf.lab.training.recipe import fastest_attention
from autobert_hf.lab.training.team import Team
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.tokens import TokenSettings


@dataclass
class NetworkSettings(TokenSettings):
    num_hidden_layers: int = described("Layers.", 4, least=1)
    hidden_size: int = described("Width of the residual stream.", 128, least=1)
    num_attention_heads: int = described("Heads; also kernels of a light-weight convolution.", 4, least=1)
    intermediate_size: int = described("Inner width of the feed-forward networks.", 512, least=1)
    norm_position: Literal["post", "pre"] = described("post as BERT; pre learns sooner in short trainings.", "pre")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} cannot be shared out to {self.num_attention_heads} heads: give a "
                "multiple of num_attention_heads."
            )

    def base(self, tokenizer: PreTrainedTokenizerBase, team: Team) -> AutoBertConfig:
        """The configuration outside the searched part, with the attention implementation that trains fastest here."""
        config = self.base_config(vocabulary_size(tokenizer), tokenizer.pad_token_id)
        config._attn_implementation = fastest_attention(team.accelerator)
        return config

    def base_config(self, vocab_size: int, pad_token_id: int) -> AutoBertConfig:
        """Without dropout, which is slow on a CPU and does not help in trainings this short."""
        return AutoBertConfig(
            vocab_size=vocab_size,
            pad_token_id=pad_token_id,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=max(self.length, 128),
            norm_position=self.norm_position,
            final_norm=self.norm_position == "pre",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
