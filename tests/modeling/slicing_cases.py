"""Large networks and cuts of them, for the property tests of slicing."""

import torch
from hypothesis import strategies as st

from autobert_hf import AutoBertConfig
from autobert_hf.modeling.slicing import Cut, LayerCut


SIZES = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 3}
SIZES |= {"intermediate_size": 20, "max_position_embeddings": 16}
SIZES |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
IDS = torch.randint(1, 30, (2, 9), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(9) < torch.tensor([[9], [5]])).long()


def enlarged(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """At the usual initialisation an error hides below the tolerance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


@st.composite
def large_configs(draw: st.DrawFn) -> AutoBertConfig:
    fields = {
        "num_hidden_layers": st.integers(1, 3),
        "embedding_size": st.sampled_from([12, 8]),
        "type_vocab_size": st.sampled_from([0, 2]),
        "tie_word_embeddings": st.booleans(),
        "norm_position": st.sampled_from(["post", "pre", "primer"]),
        "norm_type": st.sampled_from(["layer_norm", "rms_norm"]),
        "final_norm": st.booleans(),
        "embedding_norm": st.booleans(),
        "gated_ffn": st.booleans(),
        "attention_formula": st.sampled_from(
            ["softmax(q @ k.T / sqrt(d)) @ v", "softsign(q @ (k + p).T / sqrt(d)) @ v"]
        ),
        "head_dim": st.sampled_from([4, 6]),
        "layer_norm_eps": st.sampled_from([1e-12, 1e-2]),
    }
    return AutoBertConfig(**(SIZES | draw(st.fixed_dictionaries(fields))))


@st.composite
def cuts(draw: st.DrawFn, large: Cut) -> Cut:
    sources = sorted(draw(st.sets(st.integers(0, len(large.layers) - 1), min_size=1)))
    layers = []
    for source in sources:
        sizes = large.layers[source].sizes
        layers.append(LayerCut(source, **{name: draw(st.integers(1, size)) for name, size in sizes.items()}))
    factorized = large.embedding_size != large.hidden_size
    hidden = draw(st.integers(1 + factorized, large.hidden_size))
    smaller = st.integers(1, large.embedding_size).filter(lambda size: size != hidden)
    return Cut(hidden, draw(smaller) if factorized else hidden, tuple(layers))
