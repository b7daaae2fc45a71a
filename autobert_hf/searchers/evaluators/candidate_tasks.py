"""A candidate's scores on the proxy tasks of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf.lab.tasks.fine_tune import fine_tune
from autobert_hf.lab.tasks.proxy_task import Task, load_task
from autobert_hf.lab.training.team import Team


@dataclass(frozen=True)
class CandidateTasks:
    """Proxy tasks by their specifications: `glue/sst2`, a folder, ... (see `load_task`)."""

    specifications: Sequence[str]
    tokenizer: PreTrainedTokenizerBase
    length: int
    rows: int
    team: Team
    seed: int

    def load(self) -> None:
        """
        Loads the tasks; called before any training.

        Raises:
            TaskError: if one cannot be loaded.
        """
        self.tasks  # noqa: B018 (loads them)

    @cached_property
    def tasks(self) -> list[Task]:
        with self.team.main_first():  # a data set of the Hub is fetched once
            return [load_task(spec, self.tokenizer, self.length, self.rows) for spec in self.specifications]

    def scores(self, candidate: PreTrainedModel) -> dict[str, float]:
        """Each task's score after a short fine-tuning, and `task_score`, their mean; nothing without tasks."""
        if not self.specifications:
            return {}
        found = {task.name: fine_tune(candidate, task, self.team, self.seed) for task in self.tasks}
        return found | {"task_score": fmean(found.values())}
