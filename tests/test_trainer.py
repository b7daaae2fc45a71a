"""The Trainer: accumulated gradients change no head's update, training resumes, PEFT finds its targets."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import autobert_hf
from autobert_hf import AutoBertConfig


SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 24, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LENGTH = 8


def config_of(head: str, problem: str) -> AutoBertConfig:
    config = AutoBertConfig(**SIZES, is_decoder=head == "ForCausalLM", layer_types=["full_attention", "conv"])
    config.num_labels = 1 if problem == "regression" else 3
    return config


def examples(head: str, problem: str) -> list[dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(3)
    rows = []
    for number in range(8):
        ids = torch.randint(5, 40, (LENGTH,), generator=draw)
        row = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        # Unequal numbers of labels, so that a mean of means would show where a count of items is due.
        some = ids.masked_fill(torch.arange(LENGTH) > number, -100)
        labels = {
            "ForMaskedLM": some,
            "ForCausalLM": ids,
            "ForTokenClassification": some.where(some < 0, some % 3),
            "ForReplacedTokenDetection": some.where(some < 0, some % 2),
            "ForNextSentencePrediction": torch.tensor(number % 2),
            "ForMultipleChoice": torch.tensor(number % 2),
            "ForPreTraining": ids,
        }
        if head == "ForSequenceClassification":
            kinds = {"regression": torch.tensor(number / 3), "single": torch.tensor(number % 3)}
            row["labels"] = kinds.get(problem, torch.tensor([1.0, 0.0, number % 2]))
        elif head == "ForQuestionAnswering":
            row |= {"start_positions": torch.tensor(number % 4), "end_positions": torch.tensor(4 + number % 4)}
        else:
            row["labels"] = labels[head]
        if head == "ForPreTraining":
            row["next_sentence_label"] = torch.tensor(number % 2)
        if head == "ForMultipleChoice":
            row |= {name: torch.stack([row[name], row[name].flip(0)]) for name in ("input_ids", "attention_mask")}
        rows.append(row)
    return rows


def one_update(head: str, problem: str, batch: int, folder: Path) -> torch.Tensor:
    torch.manual_seed(0)
    model = getattr(autobert_hf, f"AutoBert{head}")(config_of(head, problem))
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=8 // batch,
        max_steps=1,
        learning_rate=1.0,
        optim="sgd",
        lr_scheduler_type="constant",
        max_grad_norm=1e9,
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        train_sampling_strategy="sequential",
    )
    Trainer(model, arguments, train_dataset=examples(head, problem)).train()
    return nn.utils.parameters_to_vector(model.parameters()).detach() - before


HEADS = [
    ("ForMaskedLM", ""),
    ("ForCausalLM", ""),
    ("ForTokenClassification", ""),
    ("ForReplacedTokenDetection", ""),
    ("ForNextSentencePrediction", ""),
    ("ForPreTraining", ""),
    ("ForQuestionAnswering", ""),
    ("ForMultipleChoice", ""),
    ("ForSequenceClassification", "regression"),
    ("ForSequenceClassification", "single"),
    ("ForSequenceClassification", "multi"),
]


@pytest.mark.parametrize(("head", "problem"), HEADS)
def test_gradient_accumulation_leaves_the_update_unchanged(head, problem, tmp_path):
    whole = one_update(head, problem, 8, tmp_path)
    accumulated = one_update(head, problem, 2, tmp_path)
    assert whole.abs().max() > 1e-3
    assert (accumulated @ whole / (whole @ whole)).item() == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(accumulated, whole, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("order", ["import autobert_hf, peft", "import peft, autobert_hf"])
def test_the_default_targets_are_there_in_either_order_of_import(order):
    code = f"{order}; from peft.utils import constants as c; "
    code += "m = c.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING; assert set(m['autobert']) > set(m['bert'])"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_peft_knows_the_default_targets(tmp_path):
    import peft

    torch.manual_seed(0)
    model = autobert_hf.AutoBertForSequenceClassification(config_of("ForSequenceClassification", "single"))
    model.save_pretrained(tmp_path / "base")
    ids = torch.arange(5, 13)[None]
    for kind in (peft.LoraConfig, peft.IA3Config):
        adapted = peft.get_peft_model(model, kind(task_type="SEQ_CLS"))
        trained = {name for name, p in adapted.named_parameters() if p.requires_grad and "classifier" not in name}
        assert any("mixer.query" in name or "mixer.key" in name for name in trained), kind
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if name in trained:
                    parameter.add_(0.3)
        logits = adapted.eval()(ids).logits
        adapted.save_pretrained(tmp_path / kind.__name__)
        base = autobert_hf.AutoBertForSequenceClassification.from_pretrained(tmp_path / "base")
        again = peft.PeftModel.from_pretrained(base, tmp_path / kind.__name__).eval()
        torch.testing.assert_close(again(ids).logits, logits)
        torch.testing.assert_close(again.merge_and_unload()(ids).logits, logits, atol=1e-5, rtol=1e-4)
        model = autobert_hf.AutoBertForSequenceClassification.from_pretrained(tmp_path / "base")
