"""Proxy tasks: downstream tasks that candidates are fine-tuned on for a score."""

from transformers import PreTrainedTokenizerBase

from autobert_hf.lab.data.inputs import public_name
from autobert_hf.lab.tasks.labelled_tables import label_kind
from autobert_hf.lab.tasks.question_answering import COLUMNS, QuestionTask, read_question_task
from autobert_hf.lab.tasks.task_data import TaskError, load_splits
from autobert_hf.lab.tasks.text_task import TextTask, read_text_task


Task = TextTask | QuestionTask

# GLUE's own metrics where they are not accuracy, by task; the mean where there are two.
GLUE = {
    "glue/cola": ("matthews_correlation",),
    "glue/mrpc": ("accuracy", "f1"),
    "glue/qqp": ("accuracy", "f1"),
    "glue/stsb": ("spearman",),
}
DEFAULTS = {"classification": ("accuracy",), "regression": ("spearman",), "question answering": ("f1",)}


def load_task(
    spec: str,
    tokenizer: PreTrainedTokenizerBase,
    length: int,
    train_rows: int = 4000,
    validation_rows: int = 2000,
    seed: int = 0,
) -> Task:
    """
    `glue/sst2` and the other GLUE tasks, `squad`, `squad_v2`, another data set on the Hub, or a folder (see
    `load_splits`), followed by `@METRIC` or `@METRIC+METRIC` (their mean) for a metric other than the usual one.
    The columns determine the kind of task: question, context and answers; or one or two columns of text with `label`,
    integers for classes and floats for values. Texts are cut at `length` tokens, contexts into windows of that size.
    From larger data, `train_rows` and `validation_rows` are drawn by `seed`.

    Raises:
        TaskError: if data are missing, have no labels or only one, or if a metric does not fit.
    """
    name, _, wanted = spec.partition("@")
    asked = tuple(wanted.split("+")) if wanted else ()
    _check_metrics(spec, asked)
    tables = load_splits(name, seed)
    questions = all(column in tables[0].column_names for column in COLUMNS)
    kind = "question answering" if questions else label_kind(public_name(name), tables[0])
    metrics = asked or GLUE.get(name, DEFAULTS[kind])
    _check_metrics(spec, metrics, kind)
    read = read_question_task if questions else read_text_task
    # A path would tell of this machine, name a score, and be part of the seeds.
    return read(public_name(name), metrics, tables, tokenizer, length, (train_rows, validation_rows), seed)


def _check_metrics(spec: str, metrics: tuple[str, ...], kind: str = "") -> None:
    """Without `kind`, only checks that the metrics exist, which is possible before anything is fetched."""
    from autobert_hf.lab.tasks.metrics import METRICS  # which imports `evaluate` and scikit-learn

    known = {name for names in METRICS.values() for name in names}
    for metric in metrics:
        if metric not in known:
            raise TaskError(
                f"The metric {metric!r} of {spec} does not exist: choose one of {', '.join(sorted(known))}."
            )
        if kind and metric not in METRICS[kind]:
            raise TaskError(f"The metric {metric} of {spec} does not fit {kind}: choose {', '.join(METRICS[kind])}.")
