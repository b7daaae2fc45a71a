"""The guide says what the predictor says, of any network of a space, without making its configuration."""

from random import Random

import pytest

from autobert_hf import AutoBertConfig
from autobert_hf.lab.measuring.latency_network import NetworkPredictor
from autobert_hf.lab.measuring.latency_predictor import LinearPredictor
from autobert_hf.searchers.baselines.tiny import default_rules
from autobert_hf.searchers.predicted_latency import LatencyGuide, check_limits, linear, mean_sizes, set_aside
from autobert_hf.searchers.space_summary import LimitError
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace


BASE = AutoBertConfig(vocab_size=60, hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192)
FEATURES = {"one": 0.1, "flops": 2e-8, "layers": 0.01, "attention_layers": 0.01, "scores": 1e-7}
PREDICTOR = LinearPredictor(
    FEATURES | {"conv_layers": 0, "taps": 0, "conv_width": 0, "feed_forward_width": 1e-5}, batch=2, length=24
)


@pytest.mark.parametrize("part_of_heads", [True, False])
@pytest.mark.parametrize("identical", [True, False])
def test_it_is_the_predictor(part_of_heads: bool, identical: bool):
    space = AutoTinyBertSpace.within(BASE, part_of_heads, 4, 8, identical)
    guide = LatencyGuide(linear(PREDICTOR, BASE, space))
    drawn = [space.sample(Random(number)) for number in range(100, 110)] + [
        space.smallest(),
        *default_rules(space)[:5],
    ]
    expected = PREDICTOR.predict([one.to_config(BASE) for one in drawn])
    assert [guide(one) for one in drawn] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("identical", [True, False])
def test_the_papers_network_sees_what_it_was_fitted_to(identical: bool):
    space = AutoTinyBertSpace.within(BASE, False, 4, 8, identical)
    drawn = [space.sample(Random(number)) for number in range(8)]
    configs = [one.to_config(BASE) for one in drawn]
    network = NetworkPredictor.fit(configs, [0.1 * (1 + n) for n in range(8)], hidden=8, steps=3)
    assert network.predict_sizes(map(mean_sizes, drawn)) == pytest.approx(network.predict(configs), rel=1e-5)


def test_windows_end_at_the_limit_and_begin_below_what_there_is():
    space = AutoTinyBertSpace.within(BASE, True, 4, 8)
    guide = LatencyGuide(linear(PREDICTOR, BASE, space))
    some = [space.sample(Random(number)) for number in range(50)] + [space.largest()]
    largest = guide(space.largest())
    assert guide.window(0.5 * largest, 0.85, 1.0, some)[1] == 0.5 * largest
    assert guide.window(2.0, 0.85, 1.1, some) == pytest.approx((0.85 * largest, 2.2))
    low, high = guide.window(0.99 * largest, 0.9999, 1.0, some)
    assert any(low <= guide(one) <= high for one in some), "a window that holds nothing"


def test_the_smallest_network_is_the_fastest_and_the_bound_of_all_limits():
    space = AutoTinyBertSpace.within(BASE, True, 4, 8)
    guide = LatencyGuide(linear(PREDICTOR, BASE, space))
    fastest = guide(space.smallest())
    assert fastest <= min(guide(space.sample(Random(number))) for number in range(50))
    check_limits(guide, space, [fastest + 0.01], "it")
    with pytest.raises(LimitError, match=rf"No network reaches 0.05 of the time of it: .* is {fastest:.3f}x"):
        check_limits(guide, space, [0.9, 0.05], "it")


def test_journals_of_other_machines_are_kept(tmp_path):
    journal = tmp_path / "journal.jsonl"
    for text in ("a\n", "b\n"):
        journal.write_text(text)
        (tmp_path / "final").mkdir()
        set_aside(tmp_path)
    set_aside(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "final-other-machine-0", "final-other-machine-1",
    ]  # fmt: skip
    assert [(tmp_path / f"journal-other-machine-{n}.jsonl").read_text() for n in (0, 1)] == ["a\n", "b\n"]
