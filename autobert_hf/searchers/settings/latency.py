"""Settings of latency limits, and of how latency is measured and predicted."""

from dataclasses import dataclass
from math import inf
from typing import Literal

import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from autobert_hf.lab.data.inputs import Inputs, model_inputs, public_name
from autobert_hf.lab.distilling.teacher import Teacher, load_teacher
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.records.goals import Limits
from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described


@dataclass
class MeasuringSettings(SearchSettings):
    latency_samples: int = described("Networks measured for the predictor.", 30, least=5)
    latency_error: float = described(
        "Largest standard error of a measured time, relative to it; a noisy machine is allowed more, with a warning.",
        0.03,
        local=True,
    )
    latency_batch: int = described("Rows in a timed batch.", 1, least=1)
    latency_length: int = described("Tokens in a timed row.", 128, least=1)
    latency_threads: int = described("Threads in a timed run.", 1, least=1)
    latency_precision: Literal["no", "bf16"] = described("Precision of a timed run.", "no")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.workload  # noqa: B018 (raises if invalid)

    @property
    def workload(self) -> Workload:
        return Workload(
            self.latency_batch, self.latency_length, self.latency_threads, precision=self.latency_precision
        )

    @property
    def limits_of_latency(self) -> list[float]:
        """The limits, largest first."""
        return []


@dataclass
class LatencySettings(MeasuringSettings):
    max_latency: str = described("Maximum latency relative to the reference; 0.5,0.33 gives two models.", "0.5")
    latency_reference: str = described(
        "Encoder to compare with. Default: the teacher, else BERT-base.", "", place=True
    )
    latency_predictor: Literal["linear", "network"] = described(
        "linear: in physical features; network: HAT's, made for thousands of samples.", "linear"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.limits_of_latency  # noqa: B018 (raises if invalid)

    @property
    def limits_of_latency(self) -> list[float]:
        """The limits, largest first; none if latency is not limited."""
        if not self.max_latency:
            return []
        try:
            limits = sorted({float(part) for part in self.max_latency.split(",")}, reverse=True)
        except ValueError as error:
            raise ValueError(f"max_latency is {self.max_latency!r}: write 0.5 or 0.5,0.33,0.25.") from error
        if not all(0 < limit < inf for limit in limits):
            raise ValueError(f"max_latency is {self.max_latency}: give shares above 0 of the reference's time.")
        return limits

    @property
    def limits_by_folder(self) -> dict[str, Limits]:
        """What a model has to keep, by its folder in the run: the largest limit is that of `model`."""
        if not self.limits_of_latency:
            return {"model": Limits()}
        first, *others = self.limits_of_latency
        folders = {"model": first} | {f"model-{limit:g}": limit for limit in others}
        return {name: Limits({"latency": self.slack * limit}) for name, limit in folders.items()}

    @property
    def slack(self) -> float:
        """The factor of a limit up to which a predicted latency counts as meeting it."""
        return 1.0

    def inputs(self) -> Inputs:
        given = self.latency_reference
        return super().inputs() | ({"latency reference": model_inputs(given)} if given else {})

    def reference(self, teacher: Teacher | None) -> tuple[PreTrainedModel, str]:
        """The model that latencies are relative to, and its name."""
        if self.latency_reference:
            name = public_name(self.latency_reference)
            return load_teacher(self.latency_reference, self.trust_remote_code), name
        if teacher is not None:
            return teacher.model, "the teacher"
        with torch.random.fork_rng(devices=[]):
            return BertModel(BertConfig(), add_pooling_layer=False).eval(), "BERT-base"


@dataclass
class WindowSettings(LatencySettings):
    """For searches whose candidates are drawn from a window below each limit."""

    window_low: float = described("Lower end of a candidate's latency window, as a share of the limit.", 0.85)
    window_high: float = described("Upper end of the window; 1.10 in AutoTinyBERT.", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.window_low < self.window_high:
            raise ValueError(f"The window {self.window_low} to {self.window_high} is empty: give the lower end first.")

    @property
    def slack(self) -> float:
        return max(self.window_high, 1.0)
