"""What AutoTinyBERT can be told."""

from dataclasses import dataclass, replace
from typing import Literal

from autobert_hf.lab.data.corpus import Source
from autobert_hf.lab.distilling.teacher import TeacherError, teacher_config, teacher_inputs
from autobert_hf.lab.measuring.workload import Workload
from autobert_hf.modeling.bert_family import as_bert_config
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import ConversionError, from_bert_config
from autobert_hf.searchers.settings.search_settings import SearchSettings, described


@dataclass
class AutoTinyBertSettings(SearchSettings):
    LEAST = SearchSettings.LEAST | dict.fromkeys(
        (
            "supernet_steps",
            "subnetworks",
            "population",
            "width_step",
            "inner_step",
            "latency_samples",
            "latency_batch",
            "latency_length",
            "latency_threads",
        ),
        1,
    )

    method: str = described("Search method.", "autotinybert")
    learning_rate: float = described("Peak rate of all trainings; from scratch 1e-3 is better.", 3e-4)

    teacher: str = described("Encoder to learn from, id or folder. Without: masked words, from scratch.", "")
    start: Literal["teacher", "scratch"] = described("Whose weights and sizes the supernet has.", "teacher")
    loss: Literal["paper", "relations", "sentences"] = described(
        "What is learned of the teacher: scores and states; relations and states; states and sentences.",
        "paper",
    )
    supernet_steps: int = described("Training steps of the supernet.", 1000)
    subnetworks: int = described("Sub-networks in each part of a batch (M of the paper).", 3)
    identical: bool = described("All layers of a network alike (ILS); False: the HAT-like baseline.", True)
    width_step: int = described("Step of the width's grid.", 16)
    inner_step: int = described("Step of the feed-forward width's grid.", 32)
    stock: bool = described("Only networks that a plain BERT configuration expresses.", False)

    strategy: Literal["evolution", "fast", "exhaustive", "random"] = described(
        "How candidates are chosen.", "evolution"
    )
    population: int = described("Candidates of a generation (S of the paper).", 25)
    max_latency: str = described("Most time over the reference's; several: 0.5,0.33,0.25, a model for each.", "0.5")
    window_low: float = described("Least share of the limit that a candidate may take.", 0.85)
    window_high: float = described("Most share of it. The paper's window ends at 1.10.", 1.0)
    latency_reference: str = described("Encoder to compare with. Without: the teacher, else BERT-base.", "")
    latency_predictor: Literal["linear", "network"] = described(
        "Linear in physical features; HAT's network, made for thousands of samples.", "linear"
    )
    latency_samples: int = described("Networks measured for the predictor.", 30)
    latency_error: float = described("Largest standard error of a measured time, relative to it.", 0.03)
    latency_batch: int = described("Rows in a timed batch.", 1)
    latency_length: int = described("Tokens in a timed row.", 128)
    latency_threads: int = described("Threads in a timed run.", 1)
    latency_precision: Literal["no", "bf16"] = described("Precision of a timed run.", "no")

    rivals: bool = described("Train and measure what each model found has to beat.", True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tokenizer = self.tokenizer or self.teacher
        self.workload  # noqa: B018 (whether it can be)
        if self.width_step % 2 or self.latency_samples < 5:
            raise ValueError("width_step must be even, latency_samples at least 5.")
        if not self.identical and (self.stock or self.strategy == "fast"):
            raise ValueError("--stock and --strategy fast need layers that are alike: leave --identical out.")
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
    def from_teacher(self) -> bool:
        return bool(self.teacher) and self.start == "teacher"

    @property
    def workload(self) -> Workload:
        return Workload(
            self.latency_batch, self.latency_length, self.latency_threads, precision=self.latency_precision
        )

    def source(self) -> Source:
        source = super().source()
        if not self.teacher:
            return source
        return replace(source, objective="texts")

    def inputs(self) -> dict[str, str]:
        return super().inputs() | (teacher_inputs(self.teacher) if self.teacher else {})

    def base_config(self, vocab_size: int, pad_token_id: int) -> AutoBertConfig:
        """Of a teacher whose weights are taken the sizes too; without its dropout."""
        if not self.from_teacher:
            return super().base_config(vocab_size, pad_token_id)
        try:
            config = from_bert_config(as_bert_config(teacher_config(self.teacher, self.length)))
        except ConversionError as error:
            raise TeacherError(
                f"The weights of {self.teacher} cannot be cut: {error} Give --start scratch."
            ) from error
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        return config
