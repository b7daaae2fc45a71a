"""
Takes one size out of a supernet, fine-tunes it with LoRA, and loads the adapter back on the same size.

    python examples/supernet_lora.py out/supernet/model FOLDER runs/slice --size 3x
"""

import argparse

from datasets import load_dataset
from peft import AutoPeftModelForSequenceClassification, LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

import autobert_hf  # noqa: F401  (the Auto classes and PEFT know AutoBert from here on)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("supernet", "data", "output_dir"):
    parser.add_argument(name)
parser.add_argument("--size", default="smallest", help="A name on the supernet's card.")
given = parser.parse_args()
tokenizer = AutoTokenizer.from_pretrained(given.supernet)
rows = load_dataset(given.data, split="train").map(lambda row: tokenizer(row["sentence"], truncation=True))
size = {"architecture": given.size, "num_labels": max(rows["label"]) + 1}
base = AutoModelForSequenceClassification.from_pretrained(given.supernet, **size)
adapted = get_peft_model(base, LoraConfig(task_type="SEQ_CLS", modules_to_save=["pooler"]))
settings = TrainingArguments(given.output_dir, save_strategy="no")
Trainer(adapted, settings, train_dataset=rows, processing_class=tokenizer).train()
adapted.save_pretrained(given.output_dir)
again = AutoPeftModelForSequenceClassification.from_pretrained(given.output_dir, num_labels=size["num_labels"])
