"""
Fine-tunes an AutoBert folder for extractive question answering on data like SQuAD 1.1 or 2.0 with the Trainer.

    python examples/fine_tune_question_answering.py --model out/model --data FOLDER --output_dir runs/squad --use_cpu \
        --num_train_epochs 3 --learning_rate 1e-4 --per_device_train_batch_size 16 --bf16

FOLDER holds train and validation files (or one) with question, context and answers {text, answer_start}; no text means
no answer. Long contexts become overlapping windows. transformers has no question-answering pipeline any more.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, EvalPrediction, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)
from autobert_hf.lab.tasks.metrics import QuestionAnswering
from autobert_hf.lab.tasks.proxy_task import load_task


@dataclass
class Given:
    model: str = field(metadata={"help": "Folder or Hub id of an AutoBert encoder."})
    data: str = field(metadata={"help": "A folder, squad, squad_v2, or another data set on the Hub."})
    max_length: int = field(default=384, metadata={"help": "Tokens of a window, with the question."})
    patience: int = field(default=3, metadata={"help": "Evaluations without a better F1 before it stops."})


parser = transformers.HfArgumentParser((Given, TrainingArguments))
parser.set_defaults(eval_strategy="epoch", save_strategy="epoch", save_total_limit=2, load_best_model_at_end=True)
parser.set_defaults(metric_for_best_model="f1")
given, settings = parser.parse_args_into_dataclasses()
tokenizer = AutoTokenizer.from_pretrained(given.model)
task = load_task(given.data, tokenizer, given.max_length, train_rows=sys.maxsize, validation_rows=sys.maxsize)


def answers(output: EvalPrediction) -> list[str]:
    """One a question, empty where there is none. The Trainer has padded the logits of each window."""
    logits = torch.stack([torch.from_numpy(side) for side in output.predictions], dim=-1)
    said = task.answers([row[: len(window["spans"])] for row, window in zip(logits, task.validation, strict=True)])
    return [said[number] for number in range(len(task.examples))]


def judge(output: EvalPrediction) -> dict[str, float]:
    truths = [row["answers"]["text"] for row in task.examples]
    return QuestionAnswering().compute(predictions=answers(output), references=truths)


model = AutoModelForQuestionAnswering.from_pretrained(given.model, dtype="float32")  # MISSING: the new head
stop = [transformers.EarlyStoppingCallback(given.patience)]
data = {"train_dataset": task.train, "eval_dataset": task.validation, "callbacks": stop}
trainer = transformers.Trainer(model, settings, **data, processing_class=tokenizer, compute_metrics=judge)
trainer.train(get_last_checkpoint(settings.output_dir) if Path(settings.output_dir).is_dir() else None)
trainer.save_model()
print(trainer.evaluate())
