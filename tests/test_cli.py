"""The command line: what a user may get wrong is one sentence, and the main job works in processes of its own."""

import errno
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import BertTokenizer

from autobert_hf import AutoBertForPreTraining, load_study
from autobert_hf.cli import COMMANDS, main
from autobert_hf.commands.search import parse_settings
from autobert_hf.lab.data.builtin_text import corpus
from autobert_hf.records.journal import read_journal


pytestmark = pytest.mark.usefixtures("without_rendering")  # the job below renders, in processes of its own
TINY = {
    "num-trials": "7",
    "population": "3",
    "parents": "2",
    "children": "1",
    "vocab-size": "200",
    "length": "16",
    "num-hidden-layers": "2",
    "hidden-size": "16",
    "num-attention-heads": "2",
    "intermediate-size": "32",
    "warmup-steps": "3",
    "candidate-steps": "2",
    "batch-size": "8",
    "held-out-rows": "16",
    "final-tokens": "1280",
    "mixed-precision": "no",
}


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(corpus(60, seed=0)))
    return path


def arguments(folder: Path, text: Path, **settings: str) -> list[str]:
    given = TINY | {name.replace("_", "-"): value for name, value in settings.items()}
    options = [part for name, value in given.items() for part in (f"--{name}", value)]
    return ["search", "--cpu", "--train-file", str(text), "--output-dir", str(folder), *options]


def training_of(folder: Path) -> dict[str, Any]:
    """What the one final training of a run has recorded."""
    (path,) = (folder / "report").glob("training-*.json")
    return json.loads(path.read_text())


def refused(capsys: pytest.CaptureFixture[str], *command: str, after: str = "") -> str:
    """The one sentence that a wrong command gets, and nothing before it but what matches `after`."""
    assert main(list(command)) == 1
    shown = capsys.readouterr()
    assert not shown.out or re.fullmatch(after, shown.out)
    lines = [line for line in shown.err.splitlines() if "step/s" not in line and "trial/s" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"autobert {command[0]}: ")
    return lines[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"text\.txt is empty: give a file with text in it"),
        (b" \n\t\n", r"text\.txt holds nothing but white space"),
        (b"PNG\0\1\2", r"text\.txt is binary: .*Give UTF-8 text"),
        ("Größe\n\nzwei\n".encode("latin-1"), r"text\.txt is not UTF-8: byte 0xf6 at offset 2.*iconv"),
        (b"one\n\ntwo\n", r"The training text is too short for one row of 16, which needs at least 14 tokens"),
    ],
    ids=["empty", "white", "binary", "latin-1", "short"],
)
def test_text_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    assert re.search(sentence, refused(capsys, *arguments(tmp_path / "run", path)))


def test_a_text_that_is_mended_is_taken_in_the_same_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path
) -> None:
    """Neither the wrong text nor a batch that was too large binds the folder."""
    path, folder = tmp_path / "text.txt", tmp_path / "run"
    path.write_bytes(b"\0")
    refused(capsys, *arguments(folder, path))
    path.write_bytes(text.read_bytes())
    sentence = refused(capsys, *arguments(folder, path, batch_size="9999", final_tokens="999999"))
    assert re.search(r"The text makes \d+ rows of 16 tokens, fewer than one batch of 9999: give more text", sentence)
    assert main(arguments(folder, path)) == 0
    assert (folder / "model" / "config.json").exists()


def test_a_file_that_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sentence = refused(capsys, *arguments(tmp_path / "run", tmp_path / "missing.txt"))
    assert "missing.txt does not exist: check the path" in sentence
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_without_a_mask(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path) -> None:
    words = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])}
    BertTokenizer(vocab=words, mask_token=None).save_pretrained(tmp_path / "tokenizer")
    sentence = refused(capsys, *arguments(tmp_path / "run", text, tokenizer=str(tmp_path / "tokenizer")))
    assert "has no mask_token: masked-language training needs one" in sentence


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"method": "gradient"}, "--method gradient is unknown: use one of autobert-zero, autotinybert"),
        ({"strategy": "gradient"}, "invalid choice: 'gradient' (choose from"),
        ({"num_trials": "0"}, "num_trials is 0: give at least 1"),
        ({"population": "-3"}, "population is -3: give at least 1"),
        ({"min_path": "9", "max_path": "4"}, "min_path is 9, more than max_path, 4"),
        ({"temperature": "0"}, "temperature is 0.0: give a number above 0"),
        ({"hidden_size": "17"}, "hidden_size 17 cannot be shared out to 2 heads"),
        ({"final_tokens": "127"}, "final_tokens is 127, less than one batch of 8 rows with 16 tokens"),
        ({"seed": "abc"}, "argument --seed: invalid int value: 'abc'. `autobert search --help`"),
        ({"norm_position": "middle"}, "invalid choice: 'middle' (choose from"),
        ({"no_such_thing": "1"}, "unknown arguments: --no-such-thing 1. `autobert search --help`"),
        ({"config": "/no/such.yaml"}, "--config /no/such.yaml cannot be read: "),
    ],
)
def test_settings_that_cannot_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path, settings: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(capsys, *arguments(tmp_path / "run", text, **settings))
    assert not (tmp_path / "run").exists()


def test_no_folder_no_command_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--output_dir/--output-dir. `autobert search --help`" in refused(capsys, "search")
    assert (main([]), main(["--help"]), main(["serach"])) == (0, 0, 2)
    assert capsys.readouterr().out.count("usage: autobert {search,") == 3
    with pytest.raises(SystemExit) as ended:
        main(["search", "--help"])
    assert ended.value.code == 0
    assert "--candidate-steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("seed: abc", "argument --seed: invalid int value: 'abc'"),
        ("seed: 1.5", "argument --seed: invalid int value: '1.5'"),
        ("seed: [1, 2]", "2: more values than the setting takes"),
        ("seed: {a: 1}", "seed holds {'a': '1'}; give a value or a list of values"),
        ("norm_position: middle", "invalid choice: 'middle'"),
        ("cpu: perhaps", "argument --cpu: Truthy value expected: got perhaps"),
        ("sede: 1\nalfa: 2", "holds 'alfa', 'sede'; known are alpha, batch_size"),
        ("- seed", "holds no settings: write `name: value` lines; known are alpha, batch_size"),
        ("seed: [1", "cannot be read: while parsing a flow sequence"),
        ("\0", "cannot be read: "),
    ],
)
def test_a_config_file_that_cannot_be(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    shown = refused(capsys, "search", "--config", str(path), "--output-dir", str(tmp_path / "run"))
    assert sentence in shown
    assert shown.startswith(f"autobert search: --config {path}")
    assert not (tmp_path / "run").exists()


def test_a_config_file_says_what_it_says(tmp_path: Path) -> None:
    """`no` is a precision, 1e-3 a number, one file a list of one; the command line wins."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "output_dir: out\nmixed_precision: no\ncpu: yes\nlearning_rate: 1e-2\nalpha: 0.25\nfinal_tokens: 2_000_000\n"
        "train_file: a.txt\nvalidation_file: [b.txt, c.txt]\ntokenizer: null\ndataset:\nseed: 3\n"
    )
    found = parse_settings(["--config", str(path), "--seed", "4", "--num-trials", "9"])
    assert (found.output_dir, found.mixed_precision, found.cpu) == ("out", "no", True)
    assert (found.learning_rate, found.alpha, found.final_tokens) == (0.01, 0.25, 2_000_000)
    assert (found.train_file, found.validation_file) == (["a.txt"], ["b.txt", "c.txt"])
    assert (found.tokenizer, found.dataset) == ("", "")
    assert (found.seed, found.num_trials) == (4, 9)


def test_several_values_after_one_name_or_many(tmp_path: Path) -> None:
    found = parse_settings(shlex.split("--output-dir o --proxy-task glue/sst2 --proxy-task squad folder"))
    assert found.proxy_task == ["glue/sst2", "squad", "folder"]
    (tmp_path / "run.yaml").write_text("output_dir: o\ntrain_file: [a.txt, b.txt]\ntrade_off: flops\n")
    found = parse_settings(shlex.split(f"--config {tmp_path / 'run.yaml'} --train-file c.txt"))
    assert (found.train_file, found.trade_off) == (["c.txt"], ["flops"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_params": "10"}, "None of 200 networks of the space keeps within the limits; the smallest of them have"),
        (
            {"max_flops": "many"},
            "many is not a number: write 5000000, 5e6 or 5M. `autobert search --help`",
        ),
        ({"trade_off": "beauty"}, "trade_off holds beauty: choose from parameters and flops"),
        (
            {"proxy_task": "builtin/topic@bleu"},
            "The metric 'bleu' of builtin/topic@bleu does not exist: choose one of",
        ),
        ({"proxy_task": "builtin/topic@spearman"}, "The metric spearman of builtin/topic@spearman does not fit"),
    ],
)
def test_what_no_candidate_can_be_judged_by(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path, settings: dict[str, str], sentence: str
) -> None:
    """Told before anything is trained."""
    told = r"Text: [\d,]+ rows of 16 tokens, 0\.0% unknown words\. Tokenizer of .*\nThe space, from 200 .*\n"
    assert sentence in refused(capsys, *arguments(tmp_path / "run", text, **settings), after=told)
    assert not (tmp_path / "run" / "supernet").exists()


def test_candidates_are_judged_by_a_task(tmp_path: Path, text: Path) -> None:
    options = {"proxy_task": "builtin/topic", "proxy_rows": "64", "num_trials": "3"}
    assert main(arguments(tmp_path / "run", text, **options)) == 0
    records = read_journal(tmp_path / "run" / "journal.jsonl")
    for scores in (record["scores"] for record in records):
        assert 0 <= scores["task_score"] == scores["builtin/topic"] <= 1
        assert scores["loss"] > 0


@pytest.mark.parametrize("final", ["inherit", "scratch"])
def test_masked_words_and_next_sentences(tmp_path: Path, text: Path, final: str) -> None:
    """Training on pairs, the paper's objective; the pooler and both heads come out."""
    options = {"loss": "mlm+nsp", "num_trials": "3", "final_training": final}
    assert main(arguments(tmp_path / "run", text, **options)) == 0
    model, loading = AutoBertForPreTraining.from_pretrained(tmp_path / "run" / "model", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert model.seq_relationship.weight.shape == (2, 16)
    assert training_of(tmp_path / "run")["floor"] > math.log(2)


@pytest.mark.parametrize("command", [["zoo"], ["--help"]])  # a command, and the usage that an unknown one prints too
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_enough(command: list[str], unbuffered: str) -> None:
    """`autobert zoo | head` prints no error."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "autobert_hf", *command], env=environment, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_another_pipe_that_breaks_is_told(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(rest: object) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setitem(COMMANDS, "zoo", breaks)
    assert main(["zoo"]) == 1
    assert capfd.readouterr().err == "autobert zoo: [Errno 32] Broken pipe\n"


def test_a_folder_that_holds_something_else(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path) -> None:
    (tmp_path / "thesis.tex").write_text("my only copy")
    assert "is not empty and holds no run: choose another" in refused(capsys, *arguments(tmp_path, text))
    assert "thesis.tex is a file" in refused(capsys, *arguments(tmp_path / "thesis.tex", text))


def test_inherited_weights_are_trained_on_and_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: Path
) -> None:
    """The BERT beside it gets as many tokens as the supernet, the candidate and the final training saw together."""
    folder = tmp_path / "run"
    assert main(arguments(folder, text, final_training="inherit", warmup_steps="6")) == 0
    capsys.readouterr()
    report = training_of(folder)
    winner = load_study(folder).best
    inherited = winner.cost["inherited_tokens"] + winner.cost["tokens"]
    assert inherited >= (6 + 2) * 8 * 16
    assert report["inherited_tokens"] == inherited
    found, bert = report["curves"]["found"], report["curves"]["bert"]
    assert found[-1][0] == bert[-1][0] == inherited + 1280
    assert found[0][0] == inherited + 128
    assert bert[0][0] == 128 * round((inherited + 1280) / 1280)
    assert (
        f"| {inherited + 1280:,} | {found[-1][1]:.4f} | {bert[-1][1]:.4f} |"
        in (folder / "model/README.md").read_text()
    )
    assert "holds another run (final_training: 'inherit' then, 'scratch' now" in refused(
        capsys, *arguments(folder, text, warmup_steps="6")
    )


def in_a_process(command: list[str], **options: Any) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *command], env=environment, preexec_fn=hear_ctrl_c, **pipes, **options)


def hear_ctrl_c() -> None:
    """What a shell starts in the background ignores the signal, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def search_process(folder: Path, text: Path, **settings: str) -> subprocess.Popen[str]:
    return in_a_process(["-m", "autobert_hf", *arguments(folder, text, **settings)])


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Iterator[dict[str, Any]]:
    """The main job: stopped by Ctrl-C during the search, then started again and finished."""
    folder = tmp_path_factory.mktemp("job") / "run"
    process = search_process(folder, text, num_trials="100000")
    journal = folder / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    stopped = {"folder": folder, "code": process.returncode, "errors": errors, "journal": journal.read_bytes()}
    again = search_process(folder, text)
    output, errors = again.communicate(timeout=100)
    assert again.returncode == 0, errors
    yield stopped | {"output": output}


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(job: dict[str, Any]) -> None:
    assert job["code"] == 130
    assert "Traceback" not in job["errors"]
    assert job["errors"].endswith("autobert search: stopped; the same command goes on from here.\n")
    after = (job["folder"] / "journal.jsonl").read_bytes()
    whole = job["journal"][: job["journal"].rfind(b"\n") + 1]
    assert after.startswith(whole)
    trials = [record["trial"] for record in map(json.loads, after.splitlines()) if "trial" in record]
    assert len(trials) >= 7
    assert trials == list(range(len(trials)))


LOAD = """
import json, sys
from pathlib import Path
import autobert_hf
from accelerate import Accelerator
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline
from autobert_hf.lab.data.corpus import row_tables
from autobert_hf.lab.data.masked_words import MaskedBatches
from autobert_hf.lab.data.row_files import RowFiles
from autobert_hf.lab.losses import LOSSES
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.team import Team
from autobert_hf.records.seeds import derive
from autobert_hf.records.journal import read_journal

run = Path(sys.argv[1])
model = AutoModelForMaskedLM.from_pretrained(run / "model")
tokenizer = AutoTokenizer.from_pretrained(run / "model")
rows = RowFiles(row_tables(run / "text", "held_out"), tokenizer.pad_token_id)
held_out = MaskedBatches(rows, tokenizer, 8, derive(0, "held-out")).held_out(16)
fill = pipeline("fill-mask", model=model, tokenizer=tokenizer)
print(json.dumps({
    "class": type(model).__name__,
    "loss": HeldOut(LOSSES["mlm"](model.config), held_out, Team(Accelerator(cpu=True)))(model.eval()),
    "layers": model.config.layer_types,
    "filled": len(fill(f"the {tokenizer.mask_token} is")),
}))
"""


def test_the_model_loads_elsewhere_and_is_what_was_trained(job: dict[str, Any]) -> None:
    """In a fresh process, by the three lines that the command prints; its loss is the last one of the report."""
    folder = job["folder"]
    printed = re.search(r'from_pretrained\("(.*)"\)', job["output"])
    assert printed
    assert Path(printed[1]) == folder / "model"
    process = in_a_process(["-c", LOAD, str(folder)])
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    found = json.loads(output.splitlines()[-1])
    report = training_of(folder)
    assert found["class"] == "AutoBertForMaskedLM"
    assert found["loss"] == pytest.approx(report["curves"]["found"][-1][1], abs=1e-5)
    assert len(found["layers"]) == 2
    assert found["filled"] == 5


def test_the_card_says_what_the_records_say(job: dict[str, Any]) -> None:
    folder = job["folder"]
    card = (folder / "model" / "README.md").read_text()
    report = training_of(folder)
    study = load_study(folder)
    trials, best = study.trials, study.best.to_record()
    for (tokens, found), (_, bert) in zip(report["curves"]["found"], report["curves"]["bert"], strict=True):
        assert f"| {tokens:,} | {found:.4f} | {bert:.4f} |" in card
    assert len(report["curves"]["found"]) == 10
    assert f"trial {best['trial']}" in card
    assert f"{best['scores']['loss']:.4f}" in card
    assert f"{report['floor']:.3f}" in card
    assert f"{len(trials)} candidates" in card
    assert f"trial {best['trial']}, held-out loss {best['scores']['loss']:.4f}" in job["output"]
    for layer in best["architecture"]["layers"]:
        assert layer.get("attention_formula", f"kernel {layer.get('conv_kernel_size')}") in card
    assert {"search.png", "training.png"} <= {path.name for path in (folder / "model").iterdir()}


def test_nothing_of_this_machine_is_in_what_is_published(job: dict[str, Any]) -> None:
    published = [job["folder"] / "run.json", *(job["folder"] / "model").rglob("*")]
    for path in published:
        assert str(job["folder"]).encode() not in path.read_bytes(), path
