"""The card says what the records say, and nothing else."""

import re

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from autobert_hf.hub_cards.card import is_ours, write_card
from autobert_hf.hub_cards.run_reader import RecordError, Records
from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig

from .conftest import FORMULAS, LATENCY, SIZES, TRAINING, MadeRun, journal


@pytest.fixture(autouse=True)
def drawn(request):
    """Only one test looks at the figures."""
    if "figures" not in request.node.name:
        request.getfixturevalue("undrawn")


def card_of(run: MadeRun) -> str:
    write_card(run.folder)
    return (run.folder / "model" / "README.md").read_text()


def section(card: str, title: str) -> str:
    return re.split(r"\n## ", card.split(f"\n## {title}\n")[1])[0]


def test_numbers_come_from_the_records(full):
    text = card_of(full)
    best = min((t for t in full.trials if t["scores"]), key=lambda t: t["scores"]["loss"])
    found = section(text, "How it was found")
    assert "30 candidates were judged (3 of them failed), seed 7" in found
    assert f"This network is trial {best['trial']}, score {best['scores']['loss']:.4f}, the best of all." in found
    assert "The search went in 2 rounds" in found
    assert "| judging 30 candidates | 27,000 | 68 s |" in section(text, "What it cost")
    assert "| 2,000 | 5.7500 | 6.2500 |" in section(text, "How good it is")
    assert "word frequencies gives 6.625" in text
    assert "No unsearched network with the same kinds of layers was trained" in text
    assert "- `valid.txt` (held out), SHA-256 `1111" in text
    config = AutoBertConfig.from_pretrained(full.folder / "model")
    assert f"of {count_parameters(config, 'masked_lm'):,} parameters" in text
    assert f"{count_flops(config) / 1e9:.3f} GFLOPs" in text


def test_the_front_is_what_no_other_candidate_beats(made):
    scores = {t["trial"]: (t["scores"]["parameters"], t["scores"]["loss"]) for t in made.trials if t["scores"]}
    wanted = {
        a
        for a, mine in scores.items()
        if not any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in scores.values())
    }
    rows = re.findall(r"^\| (\d+)(?: \(this network\))? \| [\d,]+ \| [\d.]+ \|$", card_of(made), re.MULTILINE)
    assert {int(number) for number in rows} == wanted
    assert len(rows) == len(wanted) > 1


def test_what_is_not_known_is_left_out(made):
    text = card_of(made)
    for word in ("base_model", "license", "Teacher", "Licence", "model-index", "Kendall", "training.png", "BERT of"):
        assert word not in text
    assert "was not measured in this run" in section(text, "How fast it is")
    assert not (made.folder / "model" / "training.png").exists()


def test_latency_and_rank_trust_where_they_were_measured(full):
    text = card_of(full)
    rows = re.findall(r"^\| `.*eager.*$|^\| `.*onnx.*$", section(text, "How fast it is"), re.MULTILINE)
    assert len(rows) == len(LATENCY)
    assert "| `this network` | 0.482 (0.472 to 0.502) | 0.500 | `bert-base` | eager | 1 x 128 | 1 | float32 |" in rows
    assert "| `the stock model, int8` | 0.611 (0.601 to 0.631) |  | `bert-base` | onnxruntime |" in text
    assert "Measured on `a small machine`." in text
    trust = section(text, "How far to trust the numbers")
    assert "(1,000,000 tokens) over 64 networks, 2 seeds" in trust
    assert "| `inherited` | 0.71 (0.60 to 0.80) |" in trust
    assert "| ceiling: one seed against another | 0.71" in trust
    assert "| 900,000 to 1,000,000 | 32 | 0.71 (0.60 to 0.80) |" in trust


def test_metadata_loads_and_validates(full):
    full.inputs = {"dataset": "me/text"}
    full.settings["dataset"] = "me/text"
    full.write()
    data = ModelCard(card_of(full), ignore_metadata_errors=False).data.to_dict()
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "fill-mask"
    assert data["base_model"] == "me/teacher"
    assert data["license"] == "apache-2.0"
    assert data["datasets"] == "me/text"
    (entry,) = data["model-index"]
    (result,) = entry["results"]
    assert result["dataset"] == {"name": "me/text", "type": "me/text"}
    assert result["metrics"][0]["value"] == TRAINING["curves"]["found"][-1][1]


def test_a_teacher_in_a_folder_is_no_base_model_and_no_path(made, tmp_path):
    (tmp_path / "secret" / "teacher").mkdir(parents=True)
    made.settings["teacher"] = str(tmp_path / "secret" / "teacher")
    made.write()
    text = card_of(made)
    assert "Teacher: `teacher`" in text
    assert "base_model" not in text
    assert "secret" not in text


def test_plugin_grade_shows_both_ways_in(made):
    plugin = section(card_of(made), "How to load it")
    assert "Grade: plugin" in plugin
    for name in ("AutoModelForMaskedLM", "AutoTokenizer"):  # without the flag the tokenizer asks on the terminal
        assert f'{name}.from_pretrained("PATH_OR_ID", trust_remote_code=True)' in plugin
    assert "import autobert_hf" in plugin
    assert "autobert convert" not in plugin


def test_stock_grade_needs_nothing_of_ours(made):
    made.save(stock=True, num_hidden_layers=2)
    lines = section(card_of(made), "How to load it")
    assert "Grade: stock" in lines
    assert "trust_remote_code" not in lines
    assert "autobert" not in lines


def test_what_could_be_stock_says_how(made):
    made.save(num_hidden_layers=2)
    assert "autobert convert PATH_OR_ID FOLDER" in section(card_of(made), "How to load it")


def test_the_lines_that_load_do_load(made):
    code = re.findall(r"```python\n(.*?)```", card_of(made), re.DOTALL)
    assert len(code) == 2
    for lines in code:
        names: dict = {}
        exec(lines.replace("PATH_OR_ID", str(made.folder / "model")), names)  # noqa: S102 (our own card)
        assert names["model"].config.vocab_size == SIZES["vocab_size"]
        assert names["tokenizer"].mask_token == "[MASK]"


def test_a_sentence_transformer_folder_says_so(made):
    made.save(stock=True, num_hidden_layers=2)
    (made.folder / "model" / "modules.json").write_text("[]")
    text = card_of(made)
    assert 'SentenceTransformer("PATH_OR_ID")' in text
    assert yaml.safe_load(text.split("---")[1])["pipeline_tag"] == "sentence-similarity"


def test_without_attention_it_says_how_far_a_token_sees(made):
    made.save(num_hidden_layers=2, layer_types=["conv", "conv"], per_layer_config={1: {"conv_kernel_size": 9}})
    assert "a token sees at most 5 tokens to each side" in section(card_of(made), "Limits")


def test_another_candidate_than_the_best_claims_no_final_training(full):
    folder = full.folder / "picked"
    (full.folder / "model").rename(folder)
    done = sorted((t for t in full.trials if t["scores"]), key=lambda t: t["scores"]["loss"])
    write_card(full.folder, folder, trial=done[3]["trial"])
    text = (folder / "README.md").read_text()
    assert f"This network is trial {done[3]['trial']}, score {done[3]['scores']['loss']:.4f}." in text
    assert "model-index" not in text
    assert "were not trained or judged beyond the search itself" in text
    full.report(f"training-{done[3]['trial']:06d}", TRAINING | {"floor": 6.5})
    write_card(full.folder, folder, trial=done[3]["trial"])
    assert "word frequencies gives 6.500" in (folder / "README.md").read_text()


def test_figures_fit_a_card(full):
    shown = re.findall(r"!\[[^\]]*\]\((\w+\.png)\)", card_of(full))
    assert shown == ["architecture.png", "search.png", "front.png", "training.png", "predicted.png"]
    for name in shown:
        with Image.open(full.folder / "model" / name) as image:
            assert image.width == 1152
            assert image.convert("L").getextrema()[0] < 60


def test_a_card_changed_by_hand_is_seen(made):
    card_of(made)
    card = made.folder / "model" / "README.md"
    assert is_ours(card)
    card.write_text(card.read_text().replace("Limits", "Limits and more"))
    assert not is_ours(card)


def test_the_trial_of_a_model_is_found_by_its_architecture(made):
    """A limit can make another candidate the winner than the best of all."""
    best = min((t for t in made.trials if t["scores"]), key=lambda t: t["scores"]["loss"])
    other = next(t for t in made.trials if t["scores"] and t is not best)
    layers = [
        {"layer_type": "conv", "conv_kernel_size": 9},
        {"layer_type": "full_attention", "attention_formula": FORMULAS[1]},
        {"layer_type": "hybrid", "qkv_conv_size": 3},
        {"layer_type": "full_attention", "attention_formula": FORMULAS[2], "skip": ["feed_forward"]},
    ]
    other["architecture"] = {"layers": layers, "settings": {"hidden_size": 24}}
    assert f"This network is trial {other['trial']}, score {other['scores']['loss']:.4f}." in card_of_written(made)
    layers[0]["conv_kernel_size"] = 7
    assert f"This network is trial {best['trial']}, " in card_of_written(made)


def test_distillation_stands_beside_its_floor_and_claims_no_nats(full):
    full.settings["supernet_steps"], full.settings["batch_size"] = 100, 32
    (full.folder / "report" / "training.json").unlink()
    distilled = {"curves": {"found": [[1000, 1.5], [2000, 1.25]]}, "parameters": {"found": 10_000}}
    full.report("distillation", distilled | {"inherited_tokens": 0, "linear_floor": 0.9, "errors": {"found": 0.25}})
    text = card_of_written(full)
    assert "nats" not in text
    assert "| `this network` | 0.250 |" in text
    assert "| linear map of the embeddings, no mixing of tokens | 0.900 |" in text
    assert "before the search | 0.41 M |" in text
    assert "model-index" not in text


def test_latencies_are_told_apart_by_their_trials(full):
    rows = {"this network": LATENCY["a cut"] | {"trial": 3}, "trial 5": LATENCY["a cut"] | {"trial": 5, "busy": True}}
    full.report("latency", rows)
    write_card(full.folder, full.folder / "model", 5)
    text = section((full.folder / "model" / "README.md").read_text(), "How fast it is")
    assert re.search(r"^\| `trial 3` .* float32 \|$", text, re.MULTILINE)
    assert re.search(r"^\| `this network` .* float32 \(disturbed by other work\) \|$", text, re.MULTILINE)


def test_proxy_tasks_decide_upwards(made):
    for number, trial in enumerate(made.trials):
        if trial["scores"]:
            trial["scores"] |= {"glue/sst2": number / 100, "task_score": number / 100}
    text = card_of_written(made)
    assert "This network is trial 28, score 0.2800, the best of all." in text
    assert "| `glue/sst2` | 0.2800 |" in text


def card_of_written(run: MadeRun) -> str:
    run.write()
    return card_of(run)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"trials": []}, "holds no finished candidate yet"),
        ({"trials": [t for t in journal(10) if not t["scores"]]}, "holds no finished candidate yet"),
        ({"trials": [journal(1)[0] | {"scores": {"loss": "<b>"}}]}, "line 1 is no trial"),
        ({"trials": [journal(1)[0] | {"trial": "a`b"}]}, "line 1 is no trial"),
        ({"trials": [3]}, "line 1 is no trial"),
    ],
)
def test_records_that_are_none(made, change, sentence):
    vars(made).update(change)
    made.write()
    with pytest.raises(RecordError, match=sentence):
        Records.read(made.folder)


def test_no_run_and_no_json(tmp_path):
    with pytest.raises(RecordError, match=r"run\.json is not there: give the --output-dir of a search"):
        Records.read(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RecordError, match=r"run\.json is not JSON"):
        Records.read(tmp_path)
