"""Baselines within a limit: BERT's own proportions, and whole layers of the teacher."""

from autobert_hf.searchers.baselines.deepest_cut import deepest_cut
from autobert_hf.searchers.baselines.default_rule import best_default, default_rules

from ..made_up import SPACE, latency, loss


def test_default_rule_networks_have_berts_proportions():
    for one in default_rules(SPACE):
        sizes = dict(one.settings)
        assert sizes["intermediate_size"] == 4 * sizes["hidden_size"]
        assert sizes["num_attention_heads"] * sizes["head_dim"] == sizes["hidden_size"]
    chosen = best_default(SPACE, latency, 0.3, loss)
    assert chosen is not None
    assert latency(chosen) <= 0.3
    assert best_default(SPACE, latency, 1e-6, loss) is None


def test_of_each_depth_the_slowest_is_judged_by_its_loss():
    within = [one for one in default_rules(SPACE) if latency(one) <= 0.3]
    slowest = {len(one.layers): one for one in sorted(within, key=latency)}
    assert best_default(SPACE, latency, 0.3, loss) == min(slowest.values(), key=loss)


def test_the_deepest_cut_keeps_the_width():
    cut = deepest_cut(SPACE, latency, 0.6)
    assert cut is not None
    assert (len(cut.layers), dict(cut.settings)["hidden_size"]) == (2, 64)
    assert deepest_cut(SPACE, latency, 0.2) is None
