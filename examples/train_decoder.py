"""Trains a found decoder as transformers' run_clm.py does: examples/train_decoder.py MODEL TOKENIZER TEXT OUTPUT"""

import sys
from itertools import chain

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments
from transformers import DataCollatorForLanguageModeling as Collator

import autobert_hf  # noqa: F401 (or trust_remote_code=True in from_pretrained)


folder, words, file, output = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder)  # says that its weights are random
tokenizer = AutoTokenizer.from_pretrained(words)
length = model.config.max_position_embeddings


def blocks(rows: dict) -> dict:
    ids = list(chain(*tokenizer(rows["text"], add_special_tokens=False)["input_ids"]))
    parts = [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)]
    return {"input_ids": parts}


text = load_dataset("text", data_files=file, split="train").map(blocks, batched=True, remove_columns=["text"])
arguments = TrainingArguments(output, num_train_epochs=3, learning_rate=1e-3, save_strategy="no", report_to="none")
trainer = Trainer(model, arguments, train_dataset=text, data_collator=Collator(tokenizer, mlm=False))
trainer.train()
trainer.save_model()
tokenizer.save_pretrained(output)
