"""What is recorded of a network is what it works on, and the network is left as it was."""

import pytest
import torch
from transformers import PreTrainedModel

from autobert_hf import AutoBertModel
from autobert_hf.lab.distilling.attention_record import last_attention
from autobert_hf.lab.distilling.signals import encoder_inputs, real_tokens, signals
from autobert_hf.lab.distilling.teacher import Teacher

from ..teaching import batch


@pytest.fixture(params=["teacher", "student"])
def network(request: pytest.FixtureRequest, teacher: Teacher, student: AutoBertModel) -> PreTrainedModel:
    return teacher.model if request.param == "teacher" else student


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_recorded_scores_are_those_behind_the_attention_probabilities(
    network: PreTrainedModel, implementation: str
) -> None:
    network.set_attn_implementation("eager")
    with torch.no_grad():
        expected = network(**batch(), output_attentions=True)
        network.set_attn_implementation(implementation)
        seen = signals(network, batch())
    keys = batch()["attention_mask"].bool()[:, None, None]
    probabilities = seen.attention.scores.masked_fill(~keys, -torch.inf).softmax(-1)
    torch.testing.assert_close(probabilities, expected.attentions[-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen.hidden, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert network.config._attn_implementation == implementation


def test_recording_ends_with_an_error_too(student: AutoBertModel) -> None:
    before = student.config._attn_implementation
    with pytest.raises(ZeroDivisionError), last_attention(student.config):
        raise ZeroDivisionError
    assert student.config._attn_implementation == before


def test_labels_of_a_batch_are_none_of_an_encoders_business() -> None:
    rows = batch() | {"labels": torch.zeros(4, 9), "next_sentence_label": torch.zeros(4)}
    assert encoder_inputs(rows).keys() == {"input_ids", "attention_mask"}
    assert real_tokens(rows).sum(1).tolist() == [9, 5, 7, 2]
    assert real_tokens({"input_ids": rows["input_ids"]}).all()
