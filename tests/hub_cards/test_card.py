"""The card says what the records say, and nothing else."""

import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from autobert_hf.hub_cards.card import is_ours, write_card
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.damage import DamagedFileError
from autobert_hf.records.goals import GOALS, Goal, Goals, Limits
from autobert_hf.records.json_files import write_record
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.study import StudyError
from autobert_hf.records.trial import Proposal

from .conftest import FORMULAS, LATENCY, SIZES, TRAINING, MadeRun, journal, own_space


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
    best = full.done[0]
    found = section(text, "How it was found")
    assert "30 candidates were judged (3 of them failed, 2 were ended early), seed 7" in found
    assert "score is `loss`: held-out loss (nats per masked token, lower is better) after a training on 1,000" in found
    assert f"This network is trial {best.id}, score {best.scores['loss']:.4f}, the best of all." in found
    assert "trained further during the search, in 2 versions" in found
    assert "| judging 30 candidates | 27,000 | 68 s |" in section(text, "What it cost")
    assert "| 2,000 | 5.7500 | 6.2500 |" in section(text, "How good it is")
    assert "word frequencies gives 6.625" in text
    assert "No unsearched network with the same kinds of layers was trained" in text
    assert "- `valid.txt` (held out), SHA-256 `1111" in text
    config = AutoBertConfig.from_pretrained(full.folder / "model")
    assert f"of {count_parameters(config, 'masked_lm'):,} parameters" in text
    assert f"{count_flops(config) / 1e9:.3f} GFLOPs" in text


def test_the_front_is_what_no_other_candidate_beats(made):
    scores = {trial.id: (trial.scores["parameters"], trial.scores["loss"]) for trial in made.done}
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


GLUED = re.compile(r"[a-z]\.[A-Z]")  # two sentences without a space: templates swallow ends of lines


def test_only_rounds_of_shrinking_are_called_so(made):
    """A method may have studies of other names, which remove nothing."""
    made.report("budget-stage-1", {"num_trials": 9, "trials": 9})
    assert "remained of" not in card_of(made) and not GLUED.search(section(card_of(made), "How it was found"))
    for number, judged in ((1, 8), (2, 4)):
        made.report(f"budget-round-{number}", {"num_trials": 9, "trials": judged})
    found = section(card_of(made), "How it was found")
    assert "They remained of 8: while the shared weights were trained, rounds that judged 8, 4 candidates" in found
    assert not GLUED.search(found)


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
    full.inputs = {"dataset": {"me/text": ""}}
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


def test_inputs_have_roles(made):
    """The files of a task are none of the text, neither in the list nor in the command nor in the metadata."""
    tasks = {"sst2/train.parquet": "2" * 64, "sst2/validation.parquet": "3" * 64}
    weights = {"minilm/config.json": "4" * 64, "minilm/model.safetensors": "5" * 64}
    made.inputs |= {"proxy task": tasks, "teacher": weights, "tokenizer": {"words/vocab.txt": "6" * 64}}
    made.settings["proxy_task"] = ["sst2@accuracy"]
    made.write()
    made.report(f"training-{made.done[0].id:06d}", TRAINING)
    text = card_of(made)
    listed = section(text, "Trained on")
    assert "- Task that judged candidates: `sst2/train.parquet`, SHA-256 `2222" in listed
    assert "- `train.txt`, SHA-256" in listed and "- `valid.txt` (held out), SHA-256" in listed
    assert "Teacher: `minilm`, `minilm/model.safetensors` SHA-256 `5555" in listed
    assert "Tokenizer: `words`" in listed
    assert [line for line in listed.splitlines() if "sst2" in line and "Task that judged" not in line] == []
    command = section(text, "Reproduce it")
    for line in ("--train-file train.txt \\", "--validation-file valid.txt \\", "--teacher minilm \\"):
        assert line in command
    assert "--tokenizer words" in command and "--proxy-task sst2@accuracy" in command
    (entry,) = ModelCard(text).data.to_dict()["model-index"]
    assert entry["results"][0]["dataset"] == {"name": "valid.txt", "type": "text"}


def test_a_teacher_in_a_folder_is_no_base_model_and_no_path(made, tmp_path):
    (tmp_path / "secret" / "teacher").mkdir(parents=True)
    made.settings["teacher"] = str(tmp_path / "secret" / "teacher")
    made.write()
    text = card_of(made)
    assert "Teacher: `teacher`" in text
    assert "base_model" not in text
    assert "secret" not in text


def test_a_sentence_encoder_of_plugin_grade_needs_the_package(made):
    (made.folder / "model" / "modules.json").write_text("[]")
    text = section(card_of(made), "How to load it")
    assert "Grade: plugin" in text and "Grade: stock" not in text
    assert "import autobert_hf\nfrom sentence_transformers import SentenceTransformer" in text


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
    picked = full.done[3]
    write_card(full.folder, folder, trial=picked.id)
    text = (folder / "README.md").read_text()
    assert f"This network is trial {picked.id}, score {picked.scores['loss']:.4f}." in text
    assert "model-index" not in text
    assert "were not trained or judged beyond the search itself" in text
    full.report(f"training-{picked.id:06d}", TRAINING | {"floor": 6.5})
    write_card(full.folder, folder, trial=picked.id)
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
    best, other = made.done[0], made.done[5]
    layers = [
        {"layer_type": "conv", "conv_kernel_size": 9},
        {"layer_type": "full_attention", "attention_formula": FORMULAS[1]},
        {"layer_type": "hybrid", "qkv_conv_size": 3},
        {"layer_type": "full_attention", "attention_formula": FORMULAS[2], "skip": ["feed_forward"]},
    ]
    proposal = Proposal(Architecture.of(layers, hidden_size=24))
    made.trials[other.id] = replace(other, proposal=proposal)
    assert f"This network is trial {other.id}, score {other.scores['loss']:.4f}." in card_of_written(made)
    layers[0]["conv_kernel_size"] = 7
    made.trials[other.id] = replace(other, proposal=Proposal(Architecture.of(layers, hidden_size=24)))
    assert f"This network is trial {best.id}, " in card_of_written(made)


def test_distillation_stands_beside_its_floor_and_claims_no_nats(full):
    shared = {"steps": 100, "tokens": 409_600, "done": True}
    full.report("trainings", {"supernet/weights": shared, "final/found-000003": shared})
    full.goals = Goals.named("loss", unit="distillation loss")
    distilled = {"curves": {"found": [[1000, 1.5], [2000, 1.25]]}, "parameters": {"found": 10_000}}
    errors = {"linear_floor": 0.9, "errors": {"found": 0.25}}
    report = distilled | {"unit": "distillation loss", "inherited_tokens": 500_000} | errors
    full.report(f"training-{full.done[0].id:06d}", report)
    text = card_of_written(full)
    assert "trained on 2,000 tokens, 0.50 M of them during the search." in text
    assert "Held-out loss (distillation loss, lower is better)" in text
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
    made.goals = Goals.named("task_score")
    for number, trial in enumerate(made.trials):
        if trial.scores:
            trial.scores.update({"glue/sst2": number / 100, "task_score": number / 100})
    text = card_of_written(made)
    assert "This network is trial 27, score 0.2700, the best of all." in text  # 28 was ended early, 29 has failed
    assert "mean task score (higher is better)" in text
    assert "| `glue/sst2` | 0.2700 |" in text


def test_a_second_goal_and_limits_are_those_that_were_asked_for(made):
    """A goal of a user's own: more of both is better, so that what nothing beats goes the other way."""
    goals = (
        Goal("accuracy", "maximize", "trained", "accuracy"),
        Goal("speed", "maximize", "measured", "speed", "rows/s"),
    )
    made.goals = Goals(goals, Limits(most={"parameters": 5e6}, least={"speed": 2}))
    points = {0: (0.5, 10), 1: (0.4, 20), 2: (0.3, 15), 3: (0.6, 5), 4: (0.6, 5)}
    made.trials = [
        replace(made.trials[number], scores={"accuracy": accuracy, "speed": speed})
        for number, (accuracy, speed) in points.items()
    ]
    text = card_of_written(made)
    assert "| trial | `speed` | `accuracy` |" in text
    rows = re.findall(r"^\| (\d+)(?: \(this network\))? \| \d+ \| [\d.]+ \|$", text, re.MULTILINE)
    assert rows == ["3", "0", "1"]
    assert "Limits of the search: `parameters` at most 5,000,000, `speed` at least 2." in text


@pytest.mark.parametrize(
    ("dropped", "size"), [((), "latency"), (("latency",), "parameters"), (("latency", "parameters"), None)]
)
def test_the_size_is_the_best_one_that_every_candidate_has(made, dropped, size):
    for trial in made.done:
        trial.scores["latency"] = 0.5
    for name in dropped:
        del made.done[3].scores[name]
    text = card_of_written(made)
    records = RunRecords.read(made.folder)
    assert (records.size and records.size.name) == size
    assert ("front.png" in text) == (size is not None)
    assert ("### Size against score" in text) == (size is not None)


def test_a_second_goal_comes_before_the_usual_sizes(made):
    made.goals = Goals((GOALS["loss"], GOALS["flops"]))
    made.write()
    assert RunRecords.read(made.folder).size == GOALS["flops"]


def test_a_run_of_a_users_own_function_has_a_card(made):
    """A space without layers, a goal to maximise, no text, no method, no training, one strategy of many."""
    own_space(made.folder)
    text = card_of(made)
    assert "This network is trial 4, score 0.4000, the best of all." in text
    assert "Architecture search chose the architecture among 8 candidates." in text
    assert "The weights were not trained or judged beyond the search itself." in text
    assert "The records name no text." in text
    assert "started from Python (`autobert_hf.search`), with these settings: `seed` `3`, `strategy` `random`." in text
    for word in ("front.png", "--train-file", "WordPiece", "shared weights", "None", "model-index"):
        assert word not in text


def test_a_pruned_trial_is_never_the_best(made):
    """However good the score at which it was ended."""
    pruned = next(trial for trial in made.trials if trial.status == "pruned")
    assert pruned.scores["loss"] < made.done[0].scores["loss"]
    made.write()
    records = RunRecords.read(made.folder)
    for found in ([records.chosen], records.front, records.ranked, records.incumbents):
        assert all(trial.ok for trial in found)
    with pytest.raises(StudyError, match=f"no finished trial {pruned.id}"):
        RunRecords.read(made.folder, pruned.id).chosen  # noqa: B018 (looked up late)


def test_what_the_network_has_to_beat(full):
    best = full.done[0].id
    networks = {f"trial {best}": {"time": 0.48, "sentence_error": 0.125}, "a cut": {"time": 0.5}}
    full.report("baselines", {str(best): {"limit": 0.5, "networks": networks}})
    text = section(card_of(full), "How good it is")
    assert "may take 0.5 of the time" in text
    assert "| `this network` | 0.480 | 0.125 |" in text
    assert "| `a cut` | 0.500 |  |" in text


def test_the_command_names_every_setting(made):
    made.settings |= {"loss": "mlm+nsp", "trade_off": ["parameters", "flops"], "max_params": None}
    lines = section(card_of_written(made), "Reproduce it")
    for line in ("--train-file train.txt", "--validation-file valid.txt", "--num-trials 30", "--method autobert-zero"):
        assert f"    {line} \\\n" in lines
    for line in ("--strategy op-nas", "--loss mlm+nsp", "--trade-off parameters flops"):
        assert f"    {line}" in lines
    assert "max-params" not in lines


def card_of_written(run: MadeRun) -> str:
    run.write()
    return card_of(run)


def line(number: int = 0, **change) -> str:
    return json.dumps(journal(10)[number].to_record() | change)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([], "holds no finished candidate yet"),
        ([line(9)], "holds no finished candidate yet"),
        ([line(scores={"loss": "<b>"})], "line 1 is not a trial"),
        ([line(scores={"parameters": 5})], "line 1 is not a trial"),
        ([line(scores={"loss": float("nan")})], "line 1 is not a trial"),
        ([line(), line(trial="a`b")], "line 2 is not a trial"),
        ([line(cost=[1])], "line 1 is not a trial"),
        ([line(architecture={"layers": [{"conv_kernel_size": 3}], "settings": {}})], "line 1 is not a trial"),
        ([line(architecture={"layers": [], "settings": {"width": {"a": 1}}})], "line 1 is not a trial"),
    ],
)
def test_records_that_are_none(made, lines, sentence):
    made.write_journal([json.loads(line) for line in lines])
    with pytest.raises(ValueError, match=sentence):
        RunRecords.read(made.folder)


def test_no_run_no_json_and_no_search(tmp_path):
    with pytest.raises(RunError, match=r"holds no run\.json: is it the --output-dir of a run"):
        RunRecords.read(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DamagedFileError, match=r"run\.json is not JSON"):
        RunRecords.read(tmp_path)
    write_record(tmp_path / "run.json", {})
    with pytest.raises(StudyError, match="holds no study yet"):
        RunRecords.read(tmp_path)
