"""Transformers' own tests on decoders: plain, with convolutions after the projections, with convolution layers."""

from unittest import TestCase

from .suite import DecoderSuite


class DecoderTest(DecoderSuite, TestCase):
    shape = "decoder"


class HybridDecoderTest(DecoderSuite, TestCase):
    shape = "hybrid_decoder"


class MixedDecoderTest(DecoderSuite, TestCase):
    shape = "mixed_decoder"
