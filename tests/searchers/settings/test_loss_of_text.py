"""A method's networks and its loss have to be of one kind; the refusal comes before any text is read."""

import pytest

from autobert_hf.searchers.methods.autobert_zero import AutoBertZeroSettings


@pytest.mark.parametrize("option", ["loss", "final_loss"])
def test_an_encoder_does_not_learn_next_words(option):
    message = (
        f"--{option.replace('_', '-')} next-words trains decoders, and this run searches for encoders: choose from"
    )
    with pytest.raises(ValueError, match=message + " mlm, mlm\\+nsp, rtd, paper"):
        AutoBertZeroSettings(output_dir="out", **{option: "next-words"})
