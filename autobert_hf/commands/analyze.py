"""`autobert analyze ranking`: how far cheap scores can be trusted."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

from autobert_hf.lab.files import write_text
from autobert_hf.lab.run_folder import RunFolder, write_json


def analyze_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert analyze", description="Instruments for searches and networks.")
    commands = parser.add_subparsers(required=True, metavar="ranking")
    _ranking_parser(
        commands.add_parser("ranking", allow_abbrev=False, help="cheap scores against stand-alone training")
    )
    given = parser.parse_args(arguments)
    return given.call(given)


def _ranking_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="The --output-dir of a finished search; nothing is written there.")
    parser.add_argument("--output-dir", type=Path, required=True, help="The same command goes on with this folder.")
    parser.add_argument("--networks", type=int, default=64, help="How many are drawn from the space.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="Of the stand-alone trainings.")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="Of one stand-alone training.")
    parser.add_argument("--short-tokens", type=int, help="Of a cheap training. Without: as in the search.")
    parser.add_argument("--draw-seed", type=int, default=0, help="Of the drawn networks.")
    parser.set_defaults(call=ranking_command)


def ranking_command(given: argparse.Namespace) -> int:
    # Only here: nothing of this, nor a search behind it, is needed to start the command line.
    from autobert_hf.hub_cards.analysis_figures import draw_ranking
    from autobert_hf.searchers.rank_report import judged, rank_report, table
    from autobert_hf.searchers.rank_study import RankStudy, study_inputs

    seeds = sorted(set(given.seeds))
    asked = {"tokens": given.tokens, "short_tokens": given.short_tokens, "draw_seed": given.draw_seed}
    folder = RunFolder(given.output_dir)
    folder.open(asked, study_inputs(given.run), {"networks": given.networks, "seeds": seeds})
    study = RankStudy(given.run, folder.path, given.draw_seed, given.short_tokens, given.tokens)
    todo = study.tokens_left(given.networks, seeds)
    with tqdm(total=todo, desc="ranking", unit="token", unit_scale=True, smoothing=0.02) as bar:
        records = study.run(given.networks, seeds, bar.update)
    found = judged(records, seeds)
    report = rank_report(found, study.costs(), asked | {"seeds": seeds})
    write_json(folder.path / "ranking.json", report)
    lines = table(report)
    write_text(folder.path / "ranking.txt", "\n".join(lines) + "\n")
    draw_ranking(report, folder.path / "ranking.png")
    print("\n".join(lines))
    return 0
