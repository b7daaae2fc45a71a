"""
Trains a LoRA or (IA)3 adapter on an AutoBert folder with PEFT, saves it, loads it back and merges it.

    python examples/lora.py out/model FOLDER runs/lora
    python examples/lora.py out/model FOLDER runs/ia3 --method ia3 --without-plugin

FOLDER holds a train file with a column `sentence` and a whole number `label`. After `import autobert_hf` PEFT knows
which modules to adapt. Where it is not installed, the modelling files saved beside the weights are run and the modules
must be named: "all-linear" will do for LoRA.
"""

import argparse
from pathlib import Path

import torch
from datasets import load_dataset
from peft import AutoPeftModelForSequenceClassification, IA3Config, LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments


IA3 = {"target_modules": ["key", "value", "output.dense"], "feedforward_modules": ["output.dense"]}
# What to adapt where PEFT does not know. An IA3 adapter that was saved with "all-linear" does not load.
METHODS = {"lora": (LoraConfig, {"target_modules": "all-linear"}), "ia3": (IA3Config, IA3)}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="Folder or Hub id of an AutoBert encoder.")
parser.add_argument("data")
parser.add_argument("output_dir", type=Path)
parser.add_argument("--method", choices=METHODS, default="lora")
parser.add_argument("--without-plugin", action="store_true", help="As where autobert_hf is not installed.")
given = parser.parse_args()

method, targets = METHODS[given.method]
loading = {"trust_remote_code": True}
if not given.without_plugin:
    loading, targets = {}, {}
    import autobert_hf  # noqa: F401  (the Auto classes and PEFT know AutoBert from here on)

rows = load_dataset(given.data, split="train")
tokenizer = AutoTokenizer.from_pretrained(given.model, **loading)
rows = rows.map(lambda row: tokenizer(row["sentence"], truncation=True, max_length=64))
loading |= {"num_labels": max(rows["label"]) + 1, "dtype": "float32"}  # AdamW fails in a file's fp16
base = AutoModelForSequenceClassification.from_pretrained(given.model, **loading)  # MISSING: the new head
model = get_peft_model(base, method(task_type="SEQ_CLS", **targets))  # with a task type it loads by its folder alone
model.print_trainable_parameters()
settings = TrainingArguments(given.output_dir, learning_rate=1e-3, save_strategy="no")
Trainer(model, settings, train_dataset=rows, processing_class=tokenizer).train()
model.save_pretrained(given.output_dir / "adapter")

texts = tokenizer(rows["sentence"][:8], padding=True, return_tensors="pt")
again = AutoPeftModelForSequenceClassification.from_pretrained(given.output_dir / "adapter", **loading).eval()
with torch.no_grad():
    trained, loaded = model.eval().cpu()(**texts).logits, again(**texts).logits
    merged = again.merge_and_unload()  # an ordinary AutoBert model, as fast as it was without the adapter
    alone = merged(**texts).logits
merged.save_pretrained(given.output_dir / "merged")
tokenizer.save_pretrained(given.output_dir / "merged")
print(f"largest difference loaded {(loaded - trained).abs().max():.1e}, merged {(alone - trained).abs().max():.1e}")
