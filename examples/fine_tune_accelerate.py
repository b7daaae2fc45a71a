"""
Fine-tunes an AutoBert folder for classification in a loop of one's own with Accelerate, on one process or several.

    python examples/fine_tune_accelerate.py out/model runs/mine --data FOLDER
    accelerate launch --config_file examples/cpu2.yaml examples/fine_tune_accelerate.py out/model runs/topic --cpu

FOLDER holds train and validation files with one or two columns of text and `label`. --batch-size is that of a process.
`accelerate launch --cpu --num_processes 2` silently starts one process; without --cpu here two would each do all work.
"""

import argparse

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)
from autobert_hf.lab.tasks import labelled_tables, metrics, task_data


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="Folder or Hub id of an AutoBert encoder.")
parser.add_argument("output_dir")
parser.add_argument("--data", default="builtin/topic", help="A folder, glue/sst2, builtin/agreement, a Hub id.")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--cpu", action="store_true")
given = parser.parse_args()

set_seed(0)
accelerator, metric = Accelerator(cpu=given.cpu), metrics.Classification()
data = labelled_tables.labelled_tables(given.data, task_data.load_splits(given.data, seed=0))
if data.kind == "regression":
    parser.error(f"The labels of {given.data} are values: fine_tune_classification.py learns those.")
tokenizer = AutoTokenizer.from_pretrained(given.model)
model = AutoModelForSequenceClassification.from_pretrained(given.model, dtype="float32", **data.head_settings)
encode = {"function": lambda row: tokenizer(*data.texts(row), truncation=True, max_length=128)}
splits = [rows.map(**encode).select_columns([*tokenizer.model_input_names, "label"]) for rows in data.tables]
loading = {"batch_size": given.batch_size, "collate_fn": DataCollatorWithPadding(tokenizer)}
loaders = DataLoader(splits[0], shuffle=True, **loading), DataLoader(splits[1], **loading)
adamw = torch.optim.AdamW(model.parameters(), lr=1e-4)
model, optimizer, train, validation = accelerator.prepare(model, adamw, *loaders)

for epoch in range(given.epochs):
    for batch in train:
        optimizer.zero_grad()
        accelerator.backward(model.train()(**batch).loss)
        optimizer.step()
    for batch in validation:
        with torch.no_grad():
            said = model.eval()(**batch).logits.argmax(-1)
        both = accelerator.gather_for_metrics({"predictions": said, "references": batch["labels"]})  # no fill-up rows
        metric.add_batch(**both)
    accelerator.print(f"epoch {epoch + 1} on {accelerator.num_processes} process(es): {metric.compute()}")
accelerator.unwrap_model(model).save_pretrained(given.output_dir, is_main_process=accelerator.is_main_process)
tokenizer.save_pretrained(given.output_dir)
accelerator.end_training()
