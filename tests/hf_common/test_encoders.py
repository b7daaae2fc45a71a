"""Transformers' own tests on encoders: all heads of a plain BERT, the network and its masked LM on searched shapes."""

from unittest import TestCase

from autobert_hf import AutoBertForCausalLM, AutoBertModel

from .suite import HEADS, EncoderSuite


class BertTest(EncoderSuite, TestCase):
    shape = "bert"
    all_model_classes = (AutoBertModel, *(head for head in HEADS if head is not AutoBertForCausalLM))


class AutoBertZeroTest(EncoderSuite, TestCase):
    shape = "autobert_zero"


class WideAttentionTest(EncoderSuite, TestCase):
    shape = "wide_attention"


class SkipsAndWidthsTest(EncoderSuite, TestCase):
    shape = "skips_and_widths"
    training_overfit_steps = 500  # deeper and narrower than the rest


class SeparableTest(EncoderSuite, TestCase):
    shape = "separable"
