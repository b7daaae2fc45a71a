"""Settings of a search for a front of a score that needs no training, latency and memory."""

from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedModel

from autobert_hf.lab.data.inputs import Inputs, model_inputs, public_name
from autobert_hf.lab.distilling.teacher import load_teacher
from autobert_hf.lab.measuring.latency_samples import untrained
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.goals import GOALS, Goals, Limits
from autobert_hf.searchers.settings.described import Quantity, described
from autobert_hf.searchers.settings.latency import MeasuringSettings
from autobert_hf.searchers.spaces.space import Space


Proxy = Literal[
    "decoder_parameters",
    "total_parameters",
    "attention_parameters",
    "feed_forward_parameters",
    "embedding_parameters",
    "width",
    "gradient_norm",
    "synflow",
    "separation",
]


@dataclass
class FrontSettings(MeasuringSettings):
    proxy: Proxy = described("Score to maximize in place of the quality after training.", "decoder_parameters")
    memory: bool = described("Peak memory is a goal beside latency.", True)
    front: Literal["lts", "pareto"] = described(
        "lts: a candidate leaves the front only if another one is strictly better in all goals; pareto: also if it is "
        "equal in some.",
        "lts",
    )
    max_latency: float | None = described("Maximum latency relative to the reference, e.g. 0.5.", None)
    max_memory: float | None = described("Maximum peak memory in MB.", None)
    min_decoder_params: Quantity | None = described("Minimum parameters without embeddings and head, e.g. 4M.", None)
    max_decoder_params: Quantity | None = described("Maximum parameters without embeddings and head, e.g. 100M.", None)
    reference: str = described(
        "Model that latencies are relative to, id or folder. Default: the largest network of the space.",
        "",
        place=True,
    )
    latency_predictor: Literal["none", "linear", "network"] = described(
        "none: every candidate is measured; linear (the fast way) or network: latency and memory are predicted, and "
        "measured only on the front.",
        "none",
    )
    points: int = described(
        "Points of the front that are measured again and saved as models, spread over it.", 16, least=1
    )
    latency_rounds: int = described("Pairs of runs, with the reference, for each measured candidate.", 5, least=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_memory is not None and not self.memory:
            raise ValueError("--max-memory needs peak memory: leave --no-memory out.")
        least, most = self.min_decoder_params, self.max_decoder_params
        if least is not None and most is not None and least > most:
            raise ValueError(
                f"min_decoder_params is {least:,.0f}, more than max_decoder_params, {most:,.0f}: swap them."
            )

    @property
    def limits_of_latency(self) -> list[float]:
        return [] if self.max_latency is None else [self.max_latency]

    @property
    def limits(self) -> Limits:
        most = {"latency": self.max_latency, "memory": self.max_memory, "decoder_parameters": self.max_decoder_params}
        least = {} if self.min_decoder_params is None else {"decoder_parameters": float(self.min_decoder_params)}
        given = {name: float(value) for name, value in most.items() if value is not None}
        return Limits({**super().limits.most, **given}, least)

    def front_goals(self) -> Goals:
        names = [self.proxy, "latency", *(["memory"] if self.memory else [])]
        return Goals(tuple(GOALS[name] for name in names), self.limits, keep_ties=self.front == "lts")

    def reference_model(self, space: Space, base: AutoBertConfig) -> tuple[PreTrainedModel, str]:
        """The model that latencies are relative to, without head, and its name."""
        if self.reference:
            return load_teacher(self.reference, self.trust_remote_code), public_name(self.reference)
        return untrained(space.largest().to_config(base)), "the largest network of the space"

    def inputs(self) -> Inputs:
        given = {"latency reference": model_inputs(self.reference)} if self.reference else {}
        return super().inputs() | given
