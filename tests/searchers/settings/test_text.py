"""Text that a tokenizer does not know is said so where a run begins."""

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import BertTokenizer

from autobert_hf.lab.data.documents import TextError
from autobert_hf.lab.training.team import Team
from autobert_hf.records.run_folder import RunError, RunFolder
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.settings import TextSettings


@pytest.fixture
def settings(tmp_path: Path) -> TextSettings:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "known"]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(tmp_path / "tokenizer")
    file = tmp_path / "text.txt"
    return TextSettings("run", train_file=[str(file)], tokenizer=str(tmp_path / "tokenizer"), length=12, batch_size=2)


def write(settings: TextSettings, unknown: int) -> None:
    """A hundred documents; of every 50 words so many are strange."""
    document = " ".join(["strange"] * unknown + ["known"] * (50 - unknown))
    Path(settings.train_file[0]).write_text("\n\n".join([document] * 100))


@pytest.mark.parametrize(("unknown", "share"), [(3, "6.0%"), (45, "90.0%")])
def test_many_unknown_words_are_a_warning_that_says_what_to_do(
    settings: TextSettings, unknown: int, share: str, tmp_path: Path, team: Team
) -> None:
    write(settings, unknown)
    sentence = (
        f"^{share} of the text are words .* does not know: give a larger --vocab-size, or a --tokenizer that knows"
    )
    with pytest.warns(UserWarning, match=sentence):
        text = settings.open_text(Run(tmp_path / "run", 0, team))
    assert str(text).endswith(f" rows of 12 tokens, {share} unknown words.")


@pytest.mark.parametrize("most", [-5, 0, 4 * 12 - 1])
def test_too_few_tokens_to_train_on_are_refused(most: int) -> None:
    with pytest.raises(
        ValueError, match=rf"--max-train-tokens {most} is less than one batch of 4 rows with 12 tokens"
    ):
        TextSettings("run", max_train_tokens=most, length=12, batch_size=4)


@pytest.mark.parametrize("side", ["training", "held-out"])
def test_text_of_which_no_word_is_known_is_refused(
    settings: TextSettings, tmp_path: Path, team: Team, side: str
) -> None:
    write(settings, 50 if side == "training" else 0)
    if side == "held-out":
        settings.validation_file = [str(tmp_path / "validation.txt")]
        (tmp_path / "validation.txt").write_text("strange " * 50)
    with pytest.raises(
        TextError, match=f"The {side} text has no word that the tokenizer knows: give a --tokenizer that"
    ):
        settings.open_text(Run(tmp_path / "run", 0, team))


def test_few_are_none(settings: TextSettings, tmp_path: Path, team: Team) -> None:
    write(settings, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        text = settings.open_text(Run(tmp_path / "run", 0, team))
    assert text.facts["unknown"] == pytest.approx(0.04)


def test_once_it_is_told_a_tool_that_opens_the_run_is_silent(
    settings: TextSettings, tmp_path: Path, team: Team
) -> None:
    write(settings, 45)
    run = Run(tmp_path / "run", 0, team)
    with pytest.warns(UserWarning, match="does not know"):
        run.record("text", settings.open_text(run).facts)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        settings.open_text(run)
    assert json.loads((run.path / "report" / "text.json").read_text())["unknown"] == pytest.approx(0.9)


@pytest.mark.parametrize("cased", [False, True])
def test_marks_that_are_lost_are_a_warning(tmp_path: Path, team: Team, cased: bool) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(["Tôi đã đọc quyển sách này rất nhiều lần"] * 60))
    settings = TextSettings("run", train_file=[str(file)], cased=cased, length=12, batch_size=2, vocab_size=100)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        text = settings.open_text(Run(tmp_path / "run", 0, team))
    assert text.facts["tokenizer"]["cased"] == cased
    sentences = [str(one.message) for one in told if one.category is UserWarning]
    assert ["give --cased" in sentence for sentence in sentences] == ([] if cased else [True])


def test_a_tokenizer_that_is_given_has_its_own_case() -> None:
    with pytest.raises(ValueError, match="--cased is about a tokenizer that is trained here, and the one of bert is"):
        TextSettings("run", tokenizer="bert", cased=True)


@pytest.fixture
def placed(settings: TextSettings, tmp_path: Path) -> TextSettings:
    """With a proxy task in a folder."""
    (tmp_path / "secret" / "reviews").mkdir(parents=True)
    (tmp_path / "secret" / "reviews" / "train.csv").write_text("text,label")
    write(settings, 2)
    return replace(settings, proxy_task=[f"{tmp_path}/secret/reviews@f1", "glue/sst2"])


def test_what_is_recorded_holds_no_path(placed: TextSettings, tmp_path: Path) -> None:
    published = json.dumps([placed.recorded(), placed.inputs()])
    assert str(tmp_path) not in published and "secret" not in published
    assert placed.recorded()["proxy_task"] == ["reviews@f1", "glue/sst2"]
    inputs = placed.inputs()
    assert set(inputs) == {"train", "tokenizer", "proxy task"}
    assert set(inputs["proxy task"]) == {"reviews/train.csv"}
    assert all(name.startswith("tokenizer/") for name in inputs["tokenizer"])
    tasks = [f"{tmp_path}/secret/reviews@f1", "glue/sst2"]
    assert placed.places() == {"tokenizer": str(tmp_path / "tokenizer"), "proxy_task": tasks}


def test_a_run_goes_on_with_the_same_inputs_elsewhere_and_not_with_changed_ones(
    placed: TextSettings, tmp_path: Path
) -> None:
    def opened(settings: TextSettings) -> None:
        RunFolder(tmp_path / "run").open(settings.recorded(), settings.inputs())

    opened(placed)
    (tmp_path / "run" / "supernet").mkdir()
    shutil.copytree(tmp_path / "tokenizer", tmp_path / "words")
    shutil.copytree(tmp_path / "secret", tmp_path / "moved")
    moved = replace(
        placed, tokenizer=str(tmp_path / "words"), proxy_task=[f"{tmp_path}/moved/reviews@f1", "glue/sst2"]
    )
    opened(moved)
    (tmp_path / "moved" / "reviews" / "train.csv").write_text("text,label,more")
    with pytest.raises(RunError, match=r"holds another run \(proxy task: reviews/train.csv"):
        opened(moved)


def test_tasks_of_one_name_are_refused(settings: TextSettings, tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "reviews").mkdir(parents=True)
    for tasks in ([f"{tmp_path}/one/reviews", f"{tmp_path}/two/reviews"], ["glue/mrpc@f1", "glue/mrpc@accuracy"]):
        with pytest.raises(ValueError, match="Two of the proxy tasks are called .*: rename one .* once, with several"):
            replace(settings, proxy_task=tasks)


def test_the_settings_are_where_the_text_comes_from(settings: TextSettings) -> None:
    settings.text_column, settings.max_train_tokens = "body", 5e6
    source = settings.source()
    assert (source.column, source.max_train_tokens) == ("body", 5_000_000)
    assert source.train_files == settings.train_file
