"""Transformers' own tests on the encoder shapes."""

from unittest import TestCase
from .suite import Suite, HEADS

from autobert_hf import AutoBertForMaskedLM, AutoBertModel

class BertTest(Suite, TestCase):
    shape = "bert"
    all_model_classes = HEADS

class AutoBertZeroTest(Suite, TestCase):
    shape = "autobert_zero"

class WideAttentionTest(Suite, TestCase):
    shape = "wide_attention"

class SkipsAndWidthsTest(Suite, TestCase):
    shape = "skips_and_widths"

class SeparableTest(Suite, TestCase):
    shape = "separable"
