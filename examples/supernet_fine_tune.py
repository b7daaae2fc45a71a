"""
Takes one size out of a supernet and fine-tunes it; what is saved is an ordinary model.

    python examples/supernet_fine_tune.py out/supernet/model FOLDER runs/fine-tuned --size 3x
"""

import argparse

from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, pipeline

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("supernet", "data", "output_dir"):
    parser.add_argument(name)
parser.add_argument("--size", default="smallest", help="A name on the supernet's card.")
given = parser.parse_args()
tokenizer = AutoTokenizer.from_pretrained(given.supernet)
rows = load_dataset(given.data, split="train").map(lambda row: tokenizer(row["sentence"], truncation=True))
size = {"architecture": given.size, "num_labels": max(rows["label"]) + 1}
model = AutoModelForSequenceClassification.from_pretrained(given.supernet, **size)
settings = TrainingArguments(given.output_dir, save_strategy="no")
trainer = Trainer(model, settings, train_dataset=rows, processing_class=tokenizer)
trainer.train()
trainer.save_model()  # with the tokenizer
print(pipeline("text-classification", given.output_dir)(rows[0]["sentence"]))
