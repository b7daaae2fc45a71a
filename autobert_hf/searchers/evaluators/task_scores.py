"""A candidate's scores on the proxy tasks of a run."""

from collections.abc import Sequence
from statistics import fmean

from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf.lab.tasks.fine_tune import fine_tune
from autobert_hf.lab.tasks.proxy_task import Task


def task_scores(
    candidate: PreTrainedModel, tasks: Sequence[Task], accelerator: Accelerator, seed: int
) -> dict[str, float]:
    """Each task's score after a short fine-tuning, and `task_score`, their mean."""
    found = {task.name: fine_tune(candidate, task, accelerator, seed) for task in tasks}
    return found | {"task_score": fmean(found.values())}
