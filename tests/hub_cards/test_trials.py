"""The search log as a data set, without the Hub."""

import io
import json

import pyarrow.parquet

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.hub_cards.trials import dataset_files
from autobert_hf.modeling.arithmetic import count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.trial import Proposal, Trial

from .conftest import SIZES, own_space


def rows_of(made):
    made.write()
    files = dataset_files(RunRecords.read(made.folder), Network(made.folder / "model").config, "me/trials", "me/name")
    return files, pyarrow.parquet.read_table(io.BytesIO(files["trials.parquet"])).to_pylist()


def test_a_row_says_all_that_the_journal_says(made):
    made.trials[4].scores["glue/sst2"] = 0.75
    _, rows = rows_of(made)
    for row, trial in zip(rows, [trial.to_record() for trial in made.trials], strict=True):
        for name in ("trial", "parent", "mutation", "seed", "status", "reason", "weights"):
            assert row[name] == trial[name]
        for name in ("partial", "architecture"):
            assert json.loads(row[name]) == json.loads(json.dumps(trial[name]))
        for part in ("score", "cost"):
            values = {
                k.removeprefix(f"{part}_"): v for k, v in row.items() if k.startswith(f"{part}_") and v is not None
            }
            assert values == trial[f"{part}s" if part == "score" else part]


def test_the_config_of_a_row_is_that_network(made):
    _, rows = rows_of(made)
    for row, trial in zip(rows, made.trials, strict=True):
        config = AutoBertConfig.from_dict(json.loads(row["config"]))
        for (kind, layer), wanted in zip(config.layers(), trial.architecture.layer_dicts, strict=True):
            assert kind == wanted["layer_type"]
            assert all(getattr(layer, name) == value for name, value in wanted.items() if name != "layer_type")
        assert config.vocab_size == 40


def test_sizes_that_follow_from_a_trials_own_follow(made):
    """In a space of widths the network that was found is not as wide as the others."""
    made.save(num_hidden_layers=2)
    settings = {"hidden_size": 12, "num_attention_heads": 2, "head_dim": 5, "intermediate_size": 16}
    made.trials = [
        Trial(0, Proposal(Architecture.of([{"layer_type": "full_attention"}], **settings)), 0, {"loss": 1.0})
    ]
    _, (row,) = rows_of(made)
    wanted = AutoBertConfig(**{**SIZES, **settings}, num_hidden_layers=1)
    found = AutoBertConfig.from_dict(json.loads(row["config"]))
    assert count_parameters(found, "masked_lm") == count_parameters(wanted, "masked_lm")


def test_the_same_journal_gives_the_same_bytes(made):
    assert rows_of(made)[0] == rows_of(made)[0]


def test_the_card_names_every_column_and_loads_the_file(made):
    files, rows = rows_of(made)
    card = files["README.md"].decode()
    assert all(f"| `{name}` |" in card for name in rows[0])
    assert "data_files: trials.parquet" in card
    assert 'load_dataset("me/trials", split="train")' in card
    assert '.sort("score_loss")[0]' in card


def test_a_space_of_a_users_own_has_no_configs(made):
    own = own_space(made.folder)
    files, rows = rows_of(own)
    assert "config" not in rows[0]
    assert json.loads(rows[7]["architecture"]) == {"layers": [], "settings": {"depth": 2, "width": 71}}
    card = files["README.md"].decode()
    assert '.sort("score_accuracy", reverse=True)[0]' in card
    assert "| `score_accuracy` | accuracy |" in card
