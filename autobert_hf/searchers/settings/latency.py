"""A limit on time, and how time is measured and predicted."""

from dataclasses import dataclass
from typing import Literal

import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from autobert_hf.lab.distilling.teacher import Teacher, load_teacher
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class LatencySettings(SearchSettings):
    max_latency: str = described("Most time over the reference's; several: 0.5,0.33,0.25, a model for each.", "0.5")
    window_low: float = described("Least share of the limit that a candidate may take.", 0.85)
    window_high: float = described("Most share of it. AutoTinyBERT's window ends at 1.10.", 1.0)
    latency_reference: str = described("Encoder to compare with. Without: the teacher, else BERT-base.", "")
    latency_predictor: Literal["linear", "network"] = described(
        "Linear in physical features; HAT's network, made for thousands of samples.", "linear"
    )
    latency_samples: int = described("Networks measured for the predictor.", 30, least=5)
    latency_error: float = described("Largest standard error of a measured time, relative to it.", 0.03, local=True)
    latency_batch: int = described("Rows in a timed batch.", 1, least=1)
    latency_length: int = described("Tokens in a timed row.", 128, least=1)
    latency_threads: int = described("Threads in a timed run.", 1, least=1)
    latency_precision: Literal["no", "bf16"] = described("Precision of a timed run.", "no")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.workload  # noqa: B018 (whether it can be)
        if not 0 < self.window_low < self.window_high:
            raise ValueError(f"The window {self.window_low} to {self.window_high} is empty: give the lower end first.")
        self.limits_of_latency  # noqa: B018 (whether it can be read)

    @property
    def limits_of_latency(self) -> list[float]:
        """The largest first."""
        try:
            limits = sorted({float(part) for part in self.max_latency.split(",")}, reverse=True)
        except ValueError as error:
            raise ValueError(f"max_latency is {self.max_latency!r}: write 0.5 or 0.5,0.33,0.25.") from error
        if limits[-1] <= 0:
            raise ValueError(f"max_latency is {self.max_latency}: give shares above 0 of the reference's time.")
        return limits

    @property
    def slack(self) -> float:
        """How many times a limit a network may take, by prediction, that counts as keeping it."""
        return max(self.window_high, 1.0)

    @property
    def workload(self) -> Workload:
        return Workload(
            self.latency_batch, self.latency_length, self.latency_threads, precision=self.latency_precision
        )

    def reference(self, teacher: Teacher | None) -> tuple[PreTrainedModel, str]:
        """What times are compared with, and what it is called."""
        if self.latency_reference:
            return load_teacher(self.latency_reference), self.latency_reference
        if teacher is not None:
            return teacher.model, "the teacher"
        with torch.random.fork_rng(devices=[]):
            return BertModel(BertConfig(), add_pooling_layer=False).eval(), "BERT-base"
