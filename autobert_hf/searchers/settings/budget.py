"""Settings of every search: its folder, seed, budget, goals and limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from autobert_hf.lab.data.inputs import Inputs
from autobert_hf.records.goals import Goals, Limits
from autobert_hf.searchers.settings.described import Quantity, described, several


@dataclass
class SearchSettings:
    """
    Raises:
        ValueError: for values out of range, or an unknown goal.
    """

    # By preset: the settings whose values differ from those below.
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    output_dir: str = field(metadata={"help": "Folder of this run; the same command resumes it.", "local": True})
    method: str = described("Published search method to run.", "autobert-zero")
    preset: Literal["default", "paper"] = described(
        "Values of the settings that are not given: for a laptop, or those of the method's paper.", "default"
    )
    seed: int = described("Seed of all random draws.", 0)
    num_trials: int = described("Candidates to evaluate, failed ones included.", 100, least=1, local=True)

    trade_off: list[str] = several("Also minimize: parameters, flops. The Pareto front is kept.")
    max_params: Quantity | None = described("Maximum parameters of the masked language model, e.g. 5M.", None)
    max_flops: Quantity | None = described("Maximum FLOPs for a row of 128 tokens, e.g. 1.2G.", None)

    shards: int = described("Shards of a training batch: at least the number of processes.", 2, least=1)
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = described("auto: bf16 where it is fast.", "auto")
    cpu: bool = described("Use the CPU even if there is a GPU.", False, local=True)
    trust_remote_code: bool = described("Run the code that comes with a teacher or tokenizer: read it first.", False)
    report_to: Literal["none", "tensorboard", "trackio", "wandb"] = described(
        "Tracker that shows losses and scores while the run goes on.", "none", local=True
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value, least = getattr(self, item.name), item.metadata.get("least")
            if least is not None and value < least:
                raise ValueError(f"{item.name} is {value}: give at least {least}.")
            if least is None and isinstance(value, float) and not 0 < value < math.inf:
                raise ValueError(f"{item.name} is {value}: give a number above 0.")
        if unknown := set(self.trade_off) - {"parameters", "flops"}:
            raise ValueError(f"trade_off holds {', '.join(sorted(unknown))}: choose from parameters and flops.")

    def check_processes(self, number: int) -> None:
        """
        Raises:
            ValueError: if a batch has fewer shares than there are processes.
        """
        if number > self.shards:
            raise ValueError(
                f"A batch is cut into {self.shards} shards, but there are {number} processes: give --shards {number}, "
                "and the same number wherever the run goes on. A run that has begun keeps its shards: it goes on with "
                "no more processes than these."
            )

    @property
    def limits(self) -> Limits:
        given = {"parameters": self.max_params, "flops": self.max_flops}
        return Limits({name: most for name, most in given.items() if most is not None})

    def goals(self, unit: str, floor: float | None = None) -> Goals:
        """The held-out loss, in `unit` and with its `floor`, and the goals that it is traded off against."""
        return Goals.named("loss", self.trade_off, self.limits, unit, floor)

    def recorded(self) -> dict[str, Any]:
        """
        The settings that a run records and publishes: all but those local to this machine. Paths are local; `inputs`
        says what is there.
        """
        known = {item.name: getattr(self, item.name) for item in fields(self) if not item.metadata.get("local")}
        return {name: value for name, value in known.items() if name not in self.places()}

    def places(self) -> dict[str, Any]:
        """The settings that are paths on this machine, made absolute, with which a run can be opened again."""
        given = {item.name: getattr(self, item.name) for item in fields(self) if item.metadata.get("place")}
        return {name: str(Path(path).absolute()) for name, path in given.items() if path and Path(path).exists()}

    def inputs(self) -> Inputs:
        """What a run reads, by role and name, with the sha256 of files."""
        return {}
