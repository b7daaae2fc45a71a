"""Strings of others stay strings: in Markdown, in its tables, in YAML, in HTML, in a shell line, in figures."""

import ast
import json
import re
import subprocess
from dataclasses import replace
from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autobert_hf.hub_cards import card
from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.card import write_card
from autobert_hf.hub_cards.escape import NUMBERS, code, label, literal, one_line, plain, word
from autobert_hf.hub_cards.page import write_report
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.hub_cards.trials import dataset_files
from autobert_hf.records.goals import GOALS, Goal, Goals
from autobert_hf.records.json_files import read_record, write_record

from .conftest import LATENCY, RANKING, TRAINING, MadeRun


HOSTILE = [
    "a | b || c",
    "`tick` ``` and \\` more",
    "line\n# heading\n\n---\ntitle: x\n---\n",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %} ${HOME} $(touch /tmp/hacked) `id` ; rm -rf ~ && '\"",
    "$$\\href{javascript:alert(1)}{x}$$ \\(x\\) $x$",
    "[link](javascript:alert(1)) ![i](http://evil.example/x.png) *b* _i_ ~~s~~",
    "- item\n1. one\n> quote\n| a |\n| --- |\n```\nfence\n",
    "\u202e reversed \u2028 line \u0000 nul \x1b[31m red \ud800 half",
    "key: value, [a, b] !!python/object:os.system {x: y} # comment & *anchor",
    "--help",
    "<!-- comment",
    " spaces ",
    "\\|\\\\|",
    "",
]
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def structure(markdown: str) -> list:
    """The kinds of everything in a document, in order, without its text."""
    return [
        (token.type, token.tag, [child.type for child in token.children or [] if child.type != "html_inline"])
        for token in MARKDOWN.parse(markdown)
    ]


def html_tags(markdown: str) -> set[str]:
    children = [
        child for token in MARKDOWN.parse(markdown) for child in token.children or [] if child.type == "html_inline"
    ]
    return {child.content for child in children}  # fmt: skip


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text()))
@pytest.mark.parametrize("escape", [plain, code])
def test_in_a_cell_of_a_table_nothing_changes_but_the_text(escape, text):
    kinds = [token.type for token in MARKDOWN.parse(f"| a | b |\n| --- | --- |\n| x{escape(text)} | c |\n\nafter\n")]
    assert kinds == [token.type for token in MARKDOWN.parse("| a | b |\n| --- | --- |\n| x | c |\n\nafter\n")]


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text(), st.text("`|\\$<>*_ a")))
def test_in_running_text_a_string_is_text(text):
    _, inline, _ = MARKDOWN.parse(f"x{plain(text)}x")
    assert {child.type for child in inline.children} <= {"text", "text_special"}
    assert "$" not in plain(text) + code(text)
    kinds = {child.type for child in MARKDOWN.parse(f"x {code(text)}")[1].children}
    assert kinds <= {"text", "text_special", "code_inline", "html_inline"}
    assert html_tags(f"x {code(text)}") <= {"<code>", "</code>"}


def test_what_is_harmless_stays_readable():
    assert plain("all-MiniLM, 3.5 M (a/b)") == "all-MiniLM, 3.5 M (a/b)"
    assert code("softmax(q @ k.T / sqrt(d)) @ v") == "`softmax(q @ k.T / sqrt(d)) @ v`"
    assert code("candidate_steps") == "`candidate_steps`"


@pytest.mark.parametrize("text", [*HOSTILE[:8], *HOSTILE[9:], "größe ☃"])
def test_a_shell_gets_exactly_the_word(text):
    if "\0" in text:
        pytest.skip("no word of a shell holds a zero")
    line = word(text)
    assert "\n" not in line and "`" not in line
    done = subprocess.run(["bash", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert done.stdout.decode() == text


@pytest.mark.parametrize("text", [*HOSTILE[:8], "größe ☃ \U0001f600"])
def test_python_reads_exactly_the_line(text):
    assert ast.literal_eval(literal(text)) == one_line(text)
    assert not set(literal(text)) & set("`{}\n")


def hostile_run(folder, model, text, by_function=False):
    """A run in which every string that comes from elsewhere is `text`, where its place allows any."""
    made = MadeRun(folder)
    made.write_all(model)
    made.settings |= {"teacher": text, "license": text, "dataset": text, "tokenizer": text, "method": text, text: text}
    if by_function:  # its card lists all settings
        del made.settings["method"]
    roles = ("train", "validation", "dataset", "proxy task", "teacher", "tokenizer", text)
    made.inputs = {role: {text: "", f"{text}2": "0" * 64, f"{text}.bin": text} for role in roles}
    made.goals = Goals((Goal(text or "loss", "maximize", "trained", text, text), GOALS["parameters"]))
    for number, trial in enumerate(made.trials):
        scores = trial.scores | {made.goals.main.name: 0.5, f"{text}2": 0.5} if trial.scores else {}
        proposal = replace(trial.proposal, mutation=text)
        made.trials[number] = replace(trial, proposal=proposal, scores=scores, weights=text)
    curves = TRAINING["curves"] | {text: TRAINING["curves"]["bert"]}
    best = made.done[0].id
    made.report(f"training-{best:06d}", TRAINING | {"curves": curves, "unit": text, "errors": {text: 0.5}})
    made.report("baselines", {f"{best}": {"limit": 0.5, "networks": {text: {"time": 0.5}}}})
    words = ("reference", "runtime", "dtype", "machine")
    made.report("latency", {text: LATENCY["a cut"] | dict.fromkeys(words, text)})
    made.report("ranking", RANKING | {"scores": {text: RANKING["scores"]["inherited"]}})
    config = folder / "model" / "config.json"
    data = json.loads(config.read_text()) | {"architectures": ["AutoBertForSequenceClassification"]}
    config.write_text(json.dumps(data | {"id2label": {"0": text, "1": text}, "label2id": {text: 0}}))
    made.write()
    run = read_record(folder / "run.json")
    write_record(folder / "run.json", run | {"versions": {text: text}, "machine": {text: text}})
    return folder


def written_card(run):
    write_card(run)
    return (run / "model" / "README.md").read_text(encoding="utf-8")


def test_a_card_keeps_its_structure(model, tmp_path, undrawn):
    wanted = structure(written_card(hostile_run(tmp_path / "harmless", model, "harmless")).partition("\n---\n")[2])
    for number, text in enumerate(HOSTILE[:-1]):
        written = written_card(hostile_run(tmp_path / str(number), model, text))
        front, _, rest = written.removeprefix("---\n").partition("\n---\n")
        assert yaml.safe_load(front)["library_name"] == "transformers"
        assert "\n---\n" not in rest
        assert [kinds[:2] for kinds in structure(rest)] == [kinds[:2] for kinds in wanted], text
        assert html_tags(rest) <= {"<code>", "</code>"}
        equations = [line for line in written.splitlines() if line.startswith("$$") and line.endswith("$$")]
        assert rest.count("$$") == 2 * len(equations) > 0
        assert "{{" not in rest


def test_a_page_and_its_figures_take_any_string(model, tmp_path, monkeypatch):
    for name in ("architecture", "search", "front"):  # show no strings of others
        monkeypatch.setattr(card, f"draw_{name}", lambda *data: data[-1].touch())
    page = write_report(hostile_run(tmp_path, model, "".join(HOSTILE[3:7]) + HOSTILE[8])).read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert not re.search(
        r"<script|<img(?! src=\"data:)|<img class|evil.example/x.png\"", page.replace('<img class="equation"', "<img")
    )


def test_a_label_starts_no_formula():
    assert label("a$b$\nc") == r"a\$b\$ c"


@pytest.mark.parametrize(
    ("number", "text"),
    [(30522, "30,522"), (16134696.0, "16,134,696"), (1e10, "10,000,000,000"), (0.2128886713, "0.2129"), (0, "0")],
)
def test_numbers_have_no_more_digits_than_say_something(number, text):
    assert NUMBERS["thousands"](number) == text


PIECES = ["`", "``", "```", "- ", "* ", "+ ", "1. ", "1) ", "> ", "# ", "| ", "\\", "{{ 7 * 7 }}", "{{", "}}"]
PIECES += ["{% raw %}", "{%", "%}", "{#", "#}", "$", "$$", "<b>", "</code>", "&#96;", "[a](b)", "![", "\n", "\n\n"]
PIECES += ["\n- ", "\n```\n", "---", "===", "~~~", ": ", "word", " ", "    ", "\t", "*", "**", "_", "'", '"', "--"]
PIECES += ["\u2028", "é", "x" * 310]
WORDS = {"text", "text_special", "html_inline", "code_inline", "softbreak"}  # how a string is shown, not what it does


def marked(rng):
    """A string of marks, often one that ends in backticks or begins with the marker of a list."""
    return "".join(rng.choices(PIECES, k=rng.randint(1, 4))) + rng.choice(["", "", "`", " ``"])


def blocks(markdown):
    """As `structure`, with what is inside a line but is neither text nor code: emphasis, links, images."""
    return [
        (token.type, token.tag, [child.type for child in token.children or [] if child.type not in WORDS])
        for token in MARKDOWN.parse(markdown)
    ]


def cards(run):
    """The card of the model and that of the search log, without their metadata."""
    records = RunRecords.read(run)
    log = dataset_files(records, Network(run / "model").config, "me/log", "me/model")["README.md"].decode()
    return [text.partition("\n---\n")[2] for text in (written_card(run), log)]


@pytest.mark.parametrize("by_function", [False, True])
def test_strings_of_marks_keep_the_structure(model, tmp_path, undrawn, by_function):
    wanted = [*map(blocks, cards(hostile_run(tmp_path / "harmless", model, "harmless", by_function)))]
    for seed in range(12):
        text = marked(Random(seed))
        found = cards(hostile_run(tmp_path / str(seed), model, text, by_function))
        for written, kinds in zip(found, wanted, strict=True):
            assert blocks(written) == kinds, repr(text)
            assert "{{" not in written and not re.search(r"\b49\b", written), repr(text)
