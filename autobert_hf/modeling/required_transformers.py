"""Refuses a transformers that this code cannot run on, before an import fails with something harder to read."""

import re

import transformers


OLDEST, NEXT_MAJOR = (5, 24), 6


def check_transformers(version: str) -> None:
    """
    Raises:
        ImportError: if `version` is older than `OLDEST`, or of the major version `NEXT_MAJOR` or a later one.
    """
    found = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if not OLDEST <= found < (NEXT_MAJOR,):
        oldest = ".".join(map(str, OLDEST))
        raise ImportError(
            f"AutoBert networks need transformers >= {oldest} and < {NEXT_MAJOR}, but transformers {version} is "
            f"installed: run `pip install 'transformers>={oldest},<{NEXT_MAJOR}'`."
        )


check_transformers(transformers.__version__)
