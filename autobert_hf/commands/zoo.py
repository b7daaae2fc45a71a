"""`autobert zoo`: published architectures, with our counts of parameters and FLOPs and the papers'."""

import argparse
from collections.abc import Sequence

from autobert_hf.zoo_table import zoo_table


def zoo_command(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="autobert zoo", description=__doc__).parse_args(arguments)
    print(zoo_table())
    return 0
