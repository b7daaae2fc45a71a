"""`autobert report RUN_DIR`: figures and an HTML page of a run, and its model card written again."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from autobert_hf.hub_cards.card import is_ours, write_card
from autobert_hf.hub_cards.page import records_with_model, write_report
from autobert_hf.records.files import disk_errors


NO_MODEL = "No model yet, so no card."
BY_FUNCTION = "No model, so no card: its candidates were scored by a function."


def report_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert report", description=__doc__)
    parser.add_argument("run", type=Path, help="The --output-dir of a search; it may still be running.")
    given = parser.parse_args(arguments)
    records = records_with_model(given.run)  # read once: of a long search it takes seconds
    with disk_errors(given.run / "report"):
        print(f"Figures and page: {write_report(given.run, records)}")
    model, card = given.run / "model", given.run / "model" / "README.md"
    if not (model / "config.json").exists():
        print(NO_MODEL if "method" in records.settings else BY_FUNCTION)
    elif not is_ours(card):
        print(f"{card} was changed by hand and stays as it is; remove it to generate it again.")
    else:
        with disk_errors(model):
            write_card(given.run, records=records)
        print(f"Model card: {card}")
    return 0
