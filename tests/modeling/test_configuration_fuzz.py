"""Mutated configuration files either load, build and run, or are refused with a ValueError before they are built."""

import json
import math
import random

import pytest
import torch
from transformers import PreTrainedConfig

from autobert_hf import AutoBertConfig, AutoBertForSequenceClassification
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import PER_LAYER_FIELDS


NUMBER = 1000
TINY = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
TINY |= {"max_position_embeddings": 12, "num_labels": 3}
BASES = [
    TINY,
    TINY | {"layer_types": ["conv", "hybrid"], "qkv_conv_size": 3, "conv_kernel_size": 5, "embedding_size": 6},
    TINY | {"per_layer_config": {"0": {"skip": ["mixer"], "layer_width": 4}, "1": {"gated_ffn": True}}},
    TINY | {"is_decoder": True, "per_layer_config": {"1": {"num_attention_heads": 4, "hidden_act": "silu"}}},
]


def nested(depth):
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


NUMBERS = [-1, 0, 1, 2, 3, 4, 5, 16, 0.1, 0.5, -0.5, 1e-300, 1e300, math.nan, math.inf, -math.inf]
NUMBERS += [10**9, 10**9 + 1, 10**12, 10**30, 10**400]
TEXTS = ["", "x", "mixer", "conv", "separable", "relu2", "pre", "rms_norm", "float32", "save", "q", "\0", "a" * 5000]
LISTS = [[], [[]], [1], ["mixer"], ["conv", "conv"], [["mixer"]], ["conv"] * 3000, nested(15), nested(300)]
TABLES = [{}, {"a": 1}, {"0": 1}, {"0": {}}, {"0": {"skip": 3}}, {"0": nested(400)}]
TABLES += [dict.fromkeys(map(str, range(3000)), 1)]
VALUES = [None, True, False, *NUMBERS, *TEXTS, *LISTS, *TABLES]
# Names that are no fields: what transformers gives a meaning, and every attribute of the class.
NAMES = ["__class__", "__dict__", "__init__", "text_config", "decoder", "encoder", "auto_map", "torch_dtype", "new"]
NAMES += ["rope_theta", "rope_parameters", "mlp_layer_types", "loss_type", "name_or_path", "num_labels"]
NAMES += [name for name in dir(PreTrainedConfig) if not name.startswith("__")]


def places(settings):
    """The dictionaries and lists in `settings`, itself first."""
    found = [settings]
    for place in found:
        inner = place.values() if isinstance(place, dict) else place
        found += [value for value in inner if isinstance(value, dict | list) and value]
    return found


def drawn(values, rng):
    return json.loads(json.dumps(rng.choice(values)))


def mutate(settings, rng):
    place = rng.choice(places(settings)[:8]) if rng.random() < 0.3 else settings
    key = rng.choice(list(place)) if isinstance(place, dict) else rng.randrange(len(place))
    action = rng.randrange(5)
    if action == 0 and len(place) > 1:
        del place[key]
    elif action == 1 and isinstance(place, dict):
        place[rng.choice(NAMES)] = drawn(VALUES, rng)
    elif action == 2:
        layer = {rng.choice(PER_LAYER_FIELDS): drawn(VALUES, rng)}
        settings["per_layer_config"] = {rng.choice(["0", "1", "2", "x", "9" * 5000]): layer}
    elif action == 3 and isinstance(place, dict):
        place[key] = drawn(list(place.values()), rng)
    else:
        place[key] = drawn(VALUES, rng)


def load_and_run(path):
    """`refused`, `large` or `ran`; raises whatever is neither a refusal nor a run."""
    try:
        config = AutoBertConfig.from_pretrained(path)
    except ValueError as error:
        assert str(error), "a refusal without a sentence"
        assert len(str(error)) < 2000, str(error)
        return "refused"
    if count_parameters(config) + config.num_labels * config.hidden_size > 10**6:
        return "large"
    model = AutoBertForSequenceClassification(config)
    model(torch.ones(2, min(2, config.max_position_embeddings), dtype=torch.long) % config.vocab_size)
    AutoBertConfig.from_dict(config.to_dict())
    return "ran"


@pytest.mark.filterwarnings("ignore")
def test_a_thousand_mutations_load_or_are_refused(tmp_path):
    path, seen = tmp_path / "config.json", {"refused": 0, "large": 0, "ran": 0}
    for seed in range(NUMBER):
        rng = random.Random(seed)
        settings = drawn(BASES, rng)
        if rng.random() < 0.5:
            settings = json.loads(AutoBertConfig(**settings).to_json_string(use_diff=False))
        for _ in range(rng.choice([1, 1, 2, 3])):
            mutate(settings, rng)
        text = json.dumps(settings)
        path.write_text(text)
        try:
            seen[load_and_run(path)] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text[:1500]}") from error
    assert min(seen["refused"], seen["ran"]) > NUMBER // 10, seen
