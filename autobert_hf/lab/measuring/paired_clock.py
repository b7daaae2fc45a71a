"""Times networks one at a time, each in pairs with the same reference."""

from collections.abc import Callable
from functools import cached_property

from transformers import PreTrainedModel

from autobert_hf.lab.measuring.paired_times import Call, Ratio, paired_ratios
from autobert_hf.lab.measuring.workload import Workload, forward, torch_threads


class PairedClock:
    """
    `rounds` pairs for each network, in random order within a pair; the network's time is the median of the ratios. So
    few rounds are for searches of thousands of networks: measure those that matter again (`measure_latency`).
    `reference` is called when the first network is timed.
    """

    def __init__(self, reference: Callable[[], PreTrainedModel], workload: Workload, rounds: int = 5) -> None:
        self.reference = reference
        self.workload = workload
        self.rounds = rounds

    @cached_property
    def _base(self) -> Call:
        return forward("the reference", self.reference(), self.workload)

    def __call__(self, model: PreTrainedModel) -> Ratio:
        """
        Raises:
            LatencyError: if a model cannot run this workload.
        """
        with torch_threads(self.workload.threads):
            calls = {"network": forward("the network", model, self.workload)}
            clock = self.workload.clock
            return paired_ratios(self._base, calls, self.rounds, repeats=1, clock=clock)["network"]
