"""What becomes of a found network: it is timed as it will be loaded."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoModel, BertConfig, BertModel

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.searchers import finish
from autobert_hf.searchers.finish import Finish


SIZES = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def test_networks_are_timed_with_the_attention_they_are_loaded_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = AutoBertModel(AutoBertConfig(**SIZES))
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path).config._attn_implementation
    model.config._attn_implementation = "eager"  # the fastest to train in bf16
    rival = BertModel(BertConfig(**SIZES, attn_implementation="eager"))
    seen = {}

    def measured_rows(path: Path, models: dict[str, Any], *rest: object, **more: object) -> dict[str, Any]:
        seen.update({name: one.config._attn_implementation for name, one in models.items()})
        return {name: {"ratio": 0.4, "error": 0.01, "reference": "the teacher"} for name in models}

    monkeypatch.setattr(finish, "measured_rows", measured_rows)
    team = SimpleNamespace(wait_for_everyone=lambda: None)
    job: Any = SimpleNamespace(is_main=True, path=tmp_path, accelerator=team)
    trial: Any = SimpleNamespace(id=3)
    nobody: Any = None
    models: dict[str, Any] = {"this network": model, "teacher in int8": rival}
    times = Finish(job, nobody, trial, "training").measure(models, {}, (rival, "the teacher"), Workload(), 0.5)
    assert times == {"this network": 0.4, "teacher in int8": 0.4}
    assert loaded != "eager" and seen == {"this network": loaded, "teacher in int8": "eager"}
