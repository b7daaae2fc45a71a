"""Seeds for random draws, each derived from the run's seed and the purpose of the draw."""

import hashlib


def derive(seed: int, *purpose: object) -> int:
    """A seed for one purpose, e.g. `derive(seed, trial_id, "batches")`; the same on every machine."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
