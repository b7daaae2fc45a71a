"""Batches of rows of nearly equal length, so that little of a batch is padding."""

from collections.abc import Sequence

import torch


CHUNK = 50  # batches within which rows are sorted by length


def length_buckets(lengths: Sequence[int], batch_size: int, draw: torch.Generator) -> list[list[int]]:
    """All rows in batches, in a new order for each state of `draw`; one batch may be smaller than the others."""
    shuffled = torch.randperm(len(lengths), generator=draw).tolist()
    batches = []
    for start in range(0, len(shuffled), CHUNK * batch_size):
        chunk = sorted(shuffled[start : start + CHUNK * batch_size], key=lambda row: lengths[row])
        batches += [chunk[at : at + batch_size] for at in range(0, len(chunk), batch_size)]
    return [batches[place] for place in torch.randperm(len(batches), generator=draw).tolist()]
