"""Hides the warnings of transformers where they mean nothing, and only there."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def only_errors() -> Iterator[None]:
    """Inside, transformers logs errors alone; afterwards it logs what the user has chosen."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
