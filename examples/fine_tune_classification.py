"""
Fine-tunes an AutoBert folder for classification or regression with the Trainer, and keeps the best epoch.

    python examples/fine_tune_classification.py --model out/model --output_dir runs/topic --use_cpu
    python examples/fine_tune_classification.py --model out/model --data FOLDER --output_dir runs/mine --use_cpu \
        --num_train_epochs 5 --learning_rate 1e-4 --per_device_train_batch_size 32 --bf16

FOLDER holds train and validation files with one or two columns of text and `label`: whole numbers are classes, floats
are values. Stop it whenever you like: the same command goes on from the last checkpoint in --output_dir. With
`accelerate launch --config_file examples/cpu2.yaml` for `python`, two processes share the work (keep --use_cpu).
"""

from dataclasses import dataclass, field
from pathlib import Path

import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, EarlyStoppingCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)
from autobert_hf.lab.tasks import labelled_tables, metrics, task_data


@dataclass
class Given:
    model: str = field(metadata={"help": "Folder or Hub id of an AutoBert encoder."})
    data: str = field(default="builtin/topic", metadata={"help": "A folder, glue/sst2, builtin/agreement, a Hub id."})
    max_length: int = 128
    patience: int = field(default=2, metadata={"help": "Epochs without a better score after which it stops."})


parser = transformers.HfArgumentParser((Given, TrainingArguments))
parser.set_defaults(eval_strategy="epoch", save_strategy="epoch", save_total_limit=2, load_best_model_at_end=True)
parser.set_defaults(greater_is_better=True)  # or it is taken for a loss, as the metric is only known further down
given, settings = parser.parse_args_into_dataclasses()
data = labelled_tables.labelled_tables(given.data, task_data.load_splits(given.data, seed=0))
metric = metrics.COMPUTERS[
    data.kind
]()  # an evaluate.Metric; evaluate.load("glue", ...) would run a script from the Hub
settings.metric_for_best_model = metrics.METRICS[data.kind][0]


def judge(output: transformers.EvalPrediction) -> dict[str, float]:
    said = output.predictions[:, 0] if data.kind == "regression" else output.predictions.argmax(-1)
    return metric.compute(predictions=said, references=output.label_ids)


tokenizer = AutoTokenizer.from_pretrained(given.model)
cut = {"truncation": True, "max_length": given.max_length}
train, validation = (rows.map(lambda row: tokenizer(*data.texts(row), **cut)) for rows in data.tables)
# The report of MISSING weights means the new head, which is trained here, and the pooler if there was none.
model = AutoModelForSequenceClassification.from_pretrained(given.model, dtype="float32", **data.head_settings)
stop = EarlyStoppingCallback(given.patience)
tools = {"processing_class": tokenizer, "compute_metrics": judge, "callbacks": [stop]}
trainer = transformers.Trainer(model, settings, train_dataset=train, eval_dataset=validation, **tools)
trainer.train(get_last_checkpoint(settings.output_dir) if Path(settings.output_dir).is_dir() else None)
trainer.save_model()  # to --output_dir: pipeline("text-classification", output_dir) takes it from there
print(trainer.evaluate())
