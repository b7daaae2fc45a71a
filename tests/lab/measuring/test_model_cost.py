"""Costs beside the time, of our networks and of others."""

import torch
from transformers import BertConfig, BertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.measuring.model_cost import LiveTensors, model_cost
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.arithmetic import count_flops, count_parameters


SIZES = {"vocab_size": 50, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
SIZES |= {"max_position_embeddings": 40, "num_hidden_layers": 2}


def test_bert_costs_the_same_in_both_forms():
    workload = Workload(2, 24)
    bert = model_cost(BertModel(BertConfig(**SIZES), add_pooling_layer=False), workload)
    config = AutoBertConfig(**SIZES)
    ours = model_cost(AutoBertModel(config, add_pooling_layer=False), workload)
    assert bert["flops"] == ours["flops"] == count_flops(config, 24, 2)
    assert bert["parameters"] == ours["parameters"] == count_parameters(config)
    widest = 4 * 2 * 24 * 64  # the inner layer of the feed-forward network
    for cost in (bert, ours):
        assert 2 * widest <= cost["memory"] - 4 * cost["parameters"] < 6 * widest


def test_live_tensors_are_those_that_something_holds():
    with LiveTensors() as live:
        one = torch.ones(1000)
        two = one + 1
        del one
        view = two.view(10, 100)
        three = view * 2
        del two, view
        assert sum(live.alive.values()) == 4000
    assert live.peak == 8000
    assert three.shape == (10, 100)
