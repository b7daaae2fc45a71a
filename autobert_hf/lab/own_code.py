"""Models and tokenizers that bring code of their own: it is run where it is asked for, and nobody is asked."""

from collections.abc import Iterator
from contextlib import contextmanager


NOT_RUN = "`autobert search --trust-remote-code` runs that of a teacher, this command runs none"


class OwnCodeError(ValueError):
    """Something can only be loaded by running code that came with it, which was not asked for."""


@contextmanager
def own_code_refused(source: str, way_out: str = "") -> Iterator[None]:
    """
    Says in one sentence that `source` has code of its own. Around loaders that are given trust_remote_code=False:
    without it transformers asks on the terminal, and a command that runs in a batch waits for an answer.

    Raises:
        OwnCodeError: in place of transformers' ValueError.
    """
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        way_out = way_out or "read it, and if you trust it give --trust-remote-code"
        raise OwnCodeError(f"{source} has code of its own, which is not run: {way_out}.") from error
