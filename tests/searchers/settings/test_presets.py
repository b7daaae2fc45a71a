"""`--preset paper`: the paper's values wherever none is given, in every way in."""

import pytest

from autobert_hf.commands.search import UsageError, parse_settings
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.settings.given import settings_from


def test_the_papers_sizes_unless_others_are_given(tmp_path):
    found = parse_settings(["--output-dir", "o", "--preset", "paper", "--num-trials", "9"])
    assert (found.population, found.parents, found.children) == (100, 5, 5)
    assert (found.num_hidden_layers, found.hidden_size, found.norm_position) == (12, 768, "post")
    assert (found.loss, found.candidate_steps) == ("mlm+nsp", 40_000)
    assert (found.bound_samples, found.kernel_draws, found.path_mutations) == ("history", "frequency", "guided")
    assert found.num_trials == 9
    assert parse_settings(["--output-dir", "o", "--preset", "paper"]).num_trials == 760
    assert parse_settings(["--output-dir", "o"]).population == 25

    (tmp_path / "run.yaml").write_text("output_dir: o\npreset: paper\npopulation: 7\n")
    found = parse_settings(["--config", str(tmp_path / "run.yaml")])
    assert (found.population, found.num_trials) == (7, 760)


@pytest.mark.parametrize("method", METHODS)
def test_scripts_get_the_same_as_the_command_line(method):
    given = {"output_dir": "o", "method": method, "preset": "paper", "num_trials": 8}
    command = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    assert settings_from(METHODS[method].Settings, given) == parse_settings(command)


def test_autotinyberts_paper():
    found = parse_settings(["--output-dir", "o", "--method", "autotinybert", "--preset", "paper"])
    assert (found.strategy, found.finalists, found.window_high) == ("evolution-paper", 3, 1.1)
    assert (found.final_warmup, found.width_step, found.inner_step) == (0.0, 4, 4)
    assert (found.batch_size, found.shards, found.num_hidden_layers) == (256, 16, 8)


def test_autodistils_paper():
    found = parse_settings(["--output-dir", "o", "--method", "autodistil", "--preset", "paper"])
    assert (found.loss, found.boxes, found.policy, found.subnetworks) == ("relations-mse", 3, "sandwich", 2)
    assert (found.gradients, found.order_by_use, found.final_training) == ("sum", False, "none")
    assert (found.teacher, found.batch_size) == ("google-bert/bert-base-uncased", 128)


def test_an_unknown_preset_is_refused():
    with pytest.raises(UsageError, match="invalid choice: 'poster'"):
        parse_settings(["--output-dir", "o", "--preset", "poster"])


def test_warm_up_and_decay_of_the_final_training_are_settings():
    class Train:
        tokens_per_batch = 1000

    class Text:
        train = Train

    kind = METHODS["autobert-zero"].Settings
    usual = kind("o").final_recipe(Text)
    assert (usual.warmup, usual.decay) == (0.05, 0.3)
    found = kind("o", final_warmup=0.0, final_decay=1.0).final_recipe(Text)
    assert (found.warmup, found.decay) == (0.0, 1.0)
    with pytest.raises(ValueError, match="final_warmup 0.5 and final_decay 0.6 are shares of one training"):
        kind("o", final_warmup=0.5, final_decay=0.6)
    with pytest.raises(ValueError, match="crossover is 2: give a share"):
        kind("o", crossover=2)
