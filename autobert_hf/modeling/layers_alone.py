"""Runs some layers of a network on hidden states from elsewhere, such as a teacher's."""

from torch import Tensor

from .modeling_autobert import AutoBertModel, AutoBertPreTrainedModel


def run_layers(
    model: AutoBertPreTrainedModel, layers: range, hidden_states: Tensor, attention_mask: Tensor | None = None
) -> Tensor:
    """
    The hidden states (batch, tokens, width) after `layers`, from those before them; without embeddings and final norm.
    """
    encoder = model.base_model
    assert isinstance(encoder, AutoBertModel)
    mask, padding = encoder.make_masks(hidden_states, attention_mask, None)
    for index in layers:
        hidden_states = encoder.encoder.layers[index](hidden_states, mask, padding, cache=None)
    return hidden_states
