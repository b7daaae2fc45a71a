"""
`autobert analyze`: how well cheap scores rank networks (`ranking`), how similar tokens become (`tokens`), how far
sub-networks quarrel about shared weights (`interference`).
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from autobert_hf import AutoBertConfig, AutoBertModel
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.lab.data.documents import read_columns
from autobert_hf.lab.data.text import train_tokenizer
from autobert_hf.lab.own_code import NOT_RUN, own_code_refused
from autobert_hf.modeling.zoo import ZOO
from autobert_hf.records.files import write_text
from autobert_hf.records.json_files import write_json, write_record
from autobert_hf.records.model_folder import loading
from autobert_hf.records.run_folder import RunFolder


def analyze_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert analyze", description="Analyses of searches and networks.")
    commands = parser.add_subparsers(required=True)
    _ranking_parser(
        commands.add_parser("ranking", allow_abbrev=False, help="cheap scores against stand-alone training")
    )
    _tokens_parser(commands.add_parser("tokens", allow_abbrev=False, help="how similar tokens become, layer by layer"))
    _interference_parser(
        commands.add_parser("interference", allow_abbrev=False, help="how well gradients of shared operations agree")
    )
    given = parser.parse_args(arguments)
    return given.call(given)


def _ranking_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="The --output-dir of a finished search; nothing is written there.")
    parser.add_argument("--output-dir", type=Path, required=True, help="Results; the same command resumes.")
    parser.add_argument("--networks", type=int, default=64, help="Number of networks drawn from the space.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="Seeds of the stand-alone trainings.")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="Training tokens of a stand-alone training.")
    parser.add_argument(
        "--short-tokens",
        type=int,
        help="Tokens of the short training from scratch. Default: as a candidate's, else a sixteenth.",
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="Peak rate of the trainings.")
    parser.add_argument("--draw-seed", type=int, default=0, help="Seed of the drawn networks.")
    parser.set_defaults(call=ranking_command)


def ranking_command(given: argparse.Namespace) -> int:
    # Imported only here, to keep the start of the command line fast.
    from autobert_hf.api import reopen
    from autobert_hf.hub_cards.analysis_figures import draw_ranking
    from autobert_hf.searchers.analysis.rank_check import RankCheck
    from autobert_hf.searchers.analysis.rank_inputs import check_begun, check_inputs
    from autobert_hf.searchers.analysis.rank_report import judged, rank_report, table

    check_begun(given.run)
    method, seeds = reopen(given.run), sorted(set(given.seeds))
    asked = {name: getattr(given, name) for name in ("tokens", "short_tokens", "draw_seed", "learning_rate")}
    folder = RunFolder(given.output_dir)
    folder.open(asked, check_inputs(method), {"networks": given.networks, "seeds": seeds})
    check = RankCheck(method, folder.path, **asked)
    todo = check.tokens_left(given.networks, seeds)
    with tqdm(total=todo, desc="ranking", unit="token", unit_scale=True, smoothing=0.02) as bar:
        records = check.run(given.networks, seeds, bar.update)
    found = judged(records, seeds, method.goals.main, check.known_sizes)
    report = rank_report(found, check.costs(), asked | {"seeds": seeds} | check.names)
    write_record(folder.path / "ranking.json", report)
    lines = table(report)
    write_text(folder.path / "ranking.txt", "\n".join(lines) + "\n")
    draw_ranking(report, folder.path / "ranking.png")
    print("\n".join(lines))
    return 0


def _interference_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="Searches by --method magic; several compare."
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="Folder for the tables and the figure.")
    parser.add_argument("--contexts", type=int, default=2, help="Random chains for each shared operation.")
    parser.add_argument("--networks", type=int, default=16, help="Chains whose agreement is shown by their rank.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the drawn chains.")
    parser.set_defaults(call=interference_command)


def interference_command(given: argparse.Namespace) -> int:
    # Imported only here, to keep the start of the command line fast.
    from autobert_hf.api import reopen
    from autobert_hf.hub_cards.analysis_figures import draw_interference
    from autobert_hf.lab.training.accelerate_state import AccelerateState
    from autobert_hf.searchers.analysis.interference import interference_of, table
    from autobert_hf.searchers.analysis.rank_inputs import check_begun

    found = {}
    for run in given.runs:
        check_begun(run)
        with AccelerateState():  # each run has its own precision
            found[str(run)] = interference_of(reopen(run), given.contexts, given.networks, given.seed)
    names = [run.name for run in given.runs]
    reports = found if len(set(names)) < len(names) else dict(zip(names, found.values(), strict=True))
    asked = {name: getattr(given, name) for name in ("contexts", "networks", "seed")}
    write_json(given.output_dir / "interference.json", asked | {"runs": reports})
    lines = [line for name, report in reports.items() for line in (name, "", *table(report), "")]
    write_text(given.output_dir / "interference.txt", "\n".join(lines))
    draw_interference(reports, given.output_dir / "interference.png")
    print("\n".join(lines))
    return 0


def _tokens_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="MODEL", help="Hub ids, folders or names of the zoo (untrained).")
    parser.add_argument("--output-dir", type=Path, required=True, help="Folder for the table and the figure.")
    parser.add_argument("--text", type=Path, help="Text, parquet, csv or json file. Default: the built-in text.")
    parser.add_argument(
        "--text-column",
        nargs="+",
        default=["text"],
        metavar="COLUMN",
        help="Column of a table that holds the text; two for pairs, as sentence1 sentence2 of STS-B.",
    )
    parser.add_argument("--samples", type=int, default=1280, help="Number of texts to use; the paper's by default.")
    parser.add_argument("--length", type=int, default=64, help="Tokens after which a text is cut.")
    parser.set_defaults(call=tokens_command)


def tokens_command(given: argparse.Namespace) -> int:
    from autobert_hf.hub_cards.analysis_figures import draw_tokens
    from autobert_hf.searchers.analysis.token_uniformity import token_uniformity

    logging.getLogger("transformers").setLevel(logging.ERROR)
    if len(given.text_column) > 2:
        raise ValueError(f"--text-column has {len(given.text_column)} names: give one, or two for pairs.")
    built_in = ((text,) for text in corpus(given.samples, seed=0))
    texts = [*islice(read_columns(given.text, given.text_column) if given.text else built_in, given.samples)]
    if not texts:
        raise ValueError(f"{given.text} holds no text in {' and '.join(given.text_column)}: give a file with some.")
    found = {}
    for source in tqdm(given.models, desc="models", unit="model"):
        layers = token_uniformity(*load_encoder(source, texts), texts, given.length)
        found[source] = {name: [getattr(layer, name) for layer in layers] for name in ("residual", "cosine")}
    report = {"text": given.text.name if given.text else "built-in", "texts": len(texts), "models": found}
    write_json(given.output_dir / "tokens.json", report | {"length": given.length})
    draw_tokens(report, given.output_dir / "tokens.png")
    print("\n".join(tokens_table(found)))
    return 0


def load_encoder(source: str, texts: Sequence[tuple[str, ...]]) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Encoder in fp32 and tokenizer. A network of the zoo has random weights, so any tokenizer fits."""
    if source in ZOO:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoBertModel(AutoBertConfig.from_zoo(source))
        return model, train_tokenizer([*chain.from_iterable(texts)], min(4000, model.config.vocab_size))
    with own_code_refused(source, NOT_RUN), loading(source):
        model = AutoModel.from_pretrained(source, dtype=torch.float32, trust_remote_code=False)
        return model, AutoTokenizer.from_pretrained(source, trust_remote_code=False)


def tokens_table(found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    lines = [f"{'model':<40}{'layer':>6}{'residual':>10}{'cosine':>10}"]
    for name, layers in found.items():
        for number, (residual, cosine) in enumerate(zip(layers["residual"], layers["cosine"], strict=True)):
            lines.append(f"{name if not number else '':<40}{number:>6}{residual:>10.3f}{cosine:>10.3f}")
    return lines
