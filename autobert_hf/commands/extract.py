"""`autobert extract REPO DST`: takes one size out of a published supernet, as an ordinary model folder."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.supernet import AutoBertSuperNet
from autobert_hf.records.model_folder import loading, save_model
from autobert_hf.searchers.settings.described import Quantity


def extract_command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="autobert extract", description=__doc__, allow_abbrev=False)
    parser.add_argument("supernet", help="Folder or Hub id of a supernet.")
    parser.add_argument("output_dir", type=Path, help="Folder of the model; must not exist yet.")
    parser.add_argument(
        "--architecture", help="A name of its front, e.g. 2x or smallest; without a choice the largest."
    )
    parser.add_argument("--max-params", type=Quantity, help="Maximum parameters (without a head), e.g. 5M.")
    parser.add_argument("--max-latency", type=Quantity, help="Maximum latency relative to the reference, e.g. 0.5.")
    parser.add_argument("--revision", help="Branch, tag or commit on the Hub.")
    given = parser.parse_args(arguments)
    limits = {"max_params": given.max_params, "max_latency": given.max_latency}
    limits = {name: most for name, most in limits.items() if most is not None}
    if given.architecture and limits:
        parser.error("--architecture names a size, limits choose one: give one of the two.")
    if given.output_dir.exists():
        raise ValueError(f"{given.output_dir} is there already: give another folder, or move it away.")
    if Path(given.supernet).is_dir() and not Path(given.supernet, "config.json").exists():
        raise ValueError(
            f"{given.supernet} holds no config.json: give the folder of a supernet. A search by --method autotinybert "
            "leaves its supernet in supernet/model of its --output-dir, one by autodistil that of each box in "
            "supernet/model-box-1, ...; other methods leave none."
        )
    with loading(given.supernet):
        config = AutoConfig.from_pretrained(given.supernet, revision=given.revision)
        if getattr(config, "supernet", None) is None:
            raise ValueError(f"{given.supernet} is no supernet: it has one size only, and can be used as it is.")
        head = AutoBertSuperNet.head(config)
        what = {"architecture": given.architecture or limits or None, "revision": given.revision}
        model = head.from_pretrained(given.supernet, config=config, **what)
    save_model(model, tokenizer_of(given.supernet, given.revision), given.output_dir)
    print(f"{given.output_dir}: {count_parameters(model.config):,} parameters without a head, {model.autobert_slice}")
    return 0


def tokenizer_of(name: str, revision: str | None) -> PreTrainedTokenizerBase | None:
    """The supernet's tokenizer, None if it was published without one."""
    transformers.logging.set_verbosity_error()
    with contextlib.suppress(OSError, ValueError):
        return AutoTokenizer.from_pretrained(name, revision=revision)
    return None
