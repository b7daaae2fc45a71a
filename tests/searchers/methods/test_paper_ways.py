"""Small seeded searches that go a way of AutoBERT-Zero's paper which is not the default."""

from pathlib import Path

import pytest

from autobert_hf import search
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.searchers.methods.autobert_zero import AutoBertZero
from autobert_hf.searchers.spaces.layer_constraints import CONSTRAINTS


TINY = {
    **{"cpu": True, "seed": 5, "num_trials": 6, "population": 4, "parents": 1, "children": 2, "vocab_size": 200},
    **{"num_hidden_layers": 3, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "length": 16},
    **{"warmup_steps": 2, "candidate_steps": 1, "batch_size": 8, "held_out_rows": 16, "final_tokens": 256},
    **{"mixed_precision": "no"},
}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(corpus(60, seed=0)))
    return path


@pytest.fixture
def run(text, tmp_path, monkeypatch):
    """The trials of a search, without the final trainings."""
    monkeypatch.setattr("autobert_hf.api.save_picks", lambda study, method: None)

    def found(name="run", **settings):
        return search("autobert-zero", train_file=text, output_dir=tmp_path / name, **(TINY | settings)).trials

    return found


WAYS = {"task_score": {"proxy_task": "builtin/topic", "proxy_rows": 64}, "loss": {"loss": "mlm+nsp"}}


@pytest.mark.parametrize("score", WAYS)
def test_proxy_tasks_and_sentence_pairs_decide_who_has_children(run, score):
    """The paper's fitness and the paper's loss; the same seed gives the same search."""
    trials, again = run(**WAYS[score]), run("again", **WAYS[score])
    assert [trial.proposal for trial in trials] == [trial.proposal for trial in again]
    values = [trial.scores[score] for trial in trials]
    assert values == pytest.approx([trial.scores[score] for trial in again], rel=1e-6)
    best = values.index((max if score == "task_score" else min)(values[:4]))
    assert {trial.proposal.parent for trial in trials[4:]} == {best}


@pytest.mark.parametrize("constraint", ["att", "conv", "no-desc"])
def test_a_search_runs_under_a_constraint(run, constraint):
    options = {"crossover": 0.5, "path_mutations": "guided", "bound_samples": "history", "kernel_draws": "frequency"}
    trials = run(constraint=constraint, **options)
    assert len(trials) == 6
    assert all(trial.ok and CONSTRAINTS[constraint](trial.architecture) for trial in trials)


def test_the_settings_reach_the_space_and_the_strategy(text, tmp_path, monkeypatch):
    made = []

    def study(method):
        made.append((method.space, method.settings.strategy_options()))
        raise KeyboardInterrupt

    monkeypatch.setattr(AutoBertZero, "study", study)
    given = {"path_mutations": "guided", "constraint": "conv", "bound_samples": "history", "crossover": 0.25}
    with pytest.raises(KeyboardInterrupt):
        search("autobert-zero", train_file=text, output_dir=tmp_path / "run", **(TINY | given))
    ((space, options),) = made
    assert (space.formulas.guided_only, space.constraint) == (True, "conv")
    assert (options["bound_samples"], options["kernel_draws"], options["crossover"]) == ("history", "bounds", 0.25)
