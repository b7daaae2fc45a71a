"""Refuses limits that no network of a space keeps, before a search begins."""

from autobert_hf.records.goals import Limits
from autobert_hf.searchers.evaluators.evaluator import Evaluator
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.space import Space


GROWING = ("parameters", "flops", "decoder_parameters", "latency", "memory")  # with every size of a network
OPTIONS = {"decoder_parameters": "decoder-params", "parameters": "params"}


def check_reachable(run: Run, space: Space, evaluator: Evaluator, limits: Limits) -> None:
    """
    Judges the smallest network, once in a run, as it has the lowest latency, memory and sizes; the largest one only by
    what is known without measuring.

    Raises:
        LimitError: if the smallest is above a maximum, or the largest below a minimum.
    """
    smallest, largest = space.smallest(), evaluator.known(space.largest())
    lowest = run.once(
        "smallest", lambda: evaluator.known(smallest) | evaluator.evaluate(0, smallest, lambda *_: True)[0]
    )
    for name, most in limits.most.items():
        if name in GROWING and lowest[name] > most:
            raise LimitError(
                f"--max-{OPTIONS.get(name, name)} {most:,.6g} is out of reach: the smallest network of the space has "
                f"{_words(name)} of {lowest[name]:,.6g}. Raise it, or give smaller --widths or --depths."
            )
    for name, least in limits.least.items():
        if name in largest and largest[name] < least:
            raise LimitError(
                f"--min-{OPTIONS.get(name, name)} {least:,.6g} is out of reach: the largest network of the space has "
                f"{_words(name)} of {largest[name]:,.6g}. Lower it, or give larger --widths or --depths."
            )


def _words(name: str) -> str:
    return {"latency": "a latency", "memory": "a memory"}.get(name, f"a number of {name.replace('_', ' ')}")
