"""The shape of the repository: which room may import which, how long a file may be, what the root shows."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.dynamic_module_utils import get_relative_imports


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "autobert_hf"
MODELING = sorted((PACKAGE / "modeling").glob("*.py"))
ROOT_LINKS = ("modeling", "searchers", "hub_cards")
ROOMS = {"modeling", "records", "lab", "searchers", "hub_cards"}

# Who may import whom. The files beside the rooms are the front door; each is named here by itself.
MAY_IMPORT = {
    "modeling": set(),
    "records": {"records", "modeling"},
    "lab": {"lab", "records", "modeling"},
    "searchers": {"searchers", "lab", "records", "modeling"},
    "hub_cards": {"hub_cards", "records", "modeling"},
    "__init__": ROOMS | {"registration", "api"},
    "registration": {"modeling", "peft_defaults", "supernet_hub"},
    "peft_defaults": {"peft_prompts", "peft_slices"},
    "peft_prompts": set(),
    "peft_slices": {"modeling", "records"},
    "supernet_hub": {"modeling", "hub_cards"},
    "zoo_table": {"modeling"},
    "study": ROOMS,
    "api": ROOMS | {"study"},
    "commands": ROOMS | {"commands", "api", "__init__", "zoo_table"},
    "cli": ROOMS | {"cli", "commands"},
    "testing": ROOMS | {"testing", "api", "__init__"},
    "__main__": {"cli"},
}

# `modeling` travels to the Hub as single files: whoever loads it there has these libraries and nothing else for sure.
MODELING_LIBRARIES = {"torch", "transformers", "huggingface_hub", "safetensors"} | sys.stdlib_module_names


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[ast.Import | ast.ImportFrom]:
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The dotted names that an absolute import may load: `from a.b import c` gives a.b.c."""
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [prefix + alias.name for alias in node.names]


def is_relative(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level > 0


def is_sibling(node: ast.Import | ast.ImportFrom) -> bool:
    """`from .name import x`: the only form that transformers packs for remote code."""
    return isinstance(node, ast.ImportFrom) and node.level == 1 and bool(node.module) and "." not in node.module


def allowed(name: str, room: str) -> bool:
    top, _, rest = name.partition(".")
    if top == "autobert_hf":
        target = rest.partition(".")[0]
        return (target if target in MAY_IMPORT else "__init__") in MAY_IMPORT[room]
    return room != "modeling" or top in MODELING_LIBRARIES


def permitted(node: ast.Import | ast.ImportFrom, room: str) -> bool:
    if is_relative(node):
        return room == "modeling" and is_sibling(node)
    return all(allowed(name, room) for name in names(node))


def forbidden_imports(source: str, room: str) -> list[str]:
    """The import statements of `source` that a file in `room` must not hold."""
    return [ast.unparse(node) for node in imports(source) if not permitted(node, room)]


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("modeling", "from autobert_hf.modeling.graph import Graph"),
        ("modeling", "from . import graph"),
        ("modeling", "from .ops.graph import Graph"),
        ("modeling", "from ..lab import text"),
        ("modeling", "import numpy"),
        ("lab", "from autobert_hf.searchers.loop import run"),
        ("lab", "from autobert_hf import AutoBertConfig"),
        ("lab", "def f():\n    import autobert_hf.searchers.loop"),
        ("lab", "from .text import read"),
        ("searchers", "from autobert_hf import hub_cards"),
        ("hub_cards", "from autobert_hf.lab.data.documents import read_documents"),
        ("hub_cards", "from autobert_hf.searchers.loop import run"),
        ("records", "from autobert_hf.lab.data.documents import read_documents"),
        ("searchers", "from autobert_hf.api import search"),
        ("hub_cards", "from autobert_hf.study import Study"),
        ("study", "from autobert_hf.api import search"),
        ("api", "from autobert_hf.commands.search import parse_settings"),
        ("__main__", "from autobert_hf.lab import text"),
    ],
)
def test_reader_finds_a_forbidden_import(room: str, line: str) -> None:
    assert len(forbidden_imports(line, room)) == 1


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("modeling", "from .graph import Graph"),
        ("modeling", "import math, torch.nn"),
        ("lab", "from autobert_hf.modeling.graph import Graph"),
        ("lab", "import datasets"),
        ("searchers", "from autobert_hf.lab import data"),
        ("hub_cards", "from autobert_hf.records.journal import Journal"),
        ("hub_cards", "from autobert_hf.modeling import arithmetic"),
        ("cli", "from autobert_hf.searchers.loop import run"),
        ("api", "from autobert_hf.searchers.run import Run"),
        ("api", "from autobert_hf.hub_cards.card import write_card"),
        ("commands", "from autobert_hf.api import search_run"),
    ],
)
def test_reader_lets_an_arrow_pass(room: str, line: str) -> None:
    assert forbidden_imports(line, room) == []


def test_every_file_stands_in_a_known_room() -> None:
    unknown = {room_of(path) for path in python_files("autobert_hf")} - set(MAY_IMPORT)
    assert not unknown, f"say in MAY_IMPORT what {sorted(unknown)} may import"
    assert {room_of(path) for path in python_files("autobert_hf")} >= ROOMS


def test_arrows_run_one_way() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in python_files("autobert_hf")
        if (lines := forbidden_imports(path.read_text(), room_of(path)))
    }
    assert found == {}


def test_nobody_imports_through_the_root_links() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files("autobert_hf", "tests", "examples", "benchmarks")
        for node in imports(path.read_text())
        if not is_relative(node)
        for name in names(node)
        if name.partition(".")[0] in ROOT_LINKS
    ]
    assert found == []


@pytest.mark.parametrize("link", ROOT_LINKS)
def test_root_link_shows_the_room(link: str) -> None:
    assert (ROOT / link).is_symlink()
    assert (ROOT / link).readlink() == Path("autobert_hf", link)
    assert (ROOT / link).is_dir()


def test_every_folder_is_a_package() -> None:
    """Without an `__init__.py` a folder imports in some kinds of installation only."""
    bare = {path.parent for path in python_files("autobert_hf") if not (path.parent / "__init__.py").is_file()}
    assert not bare, f"no __init__.py in {sorted(str(folder.relative_to(ROOT)) for folder in bare)}"


def test_modeling_is_one_flat_folder() -> None:
    assert python_files("autobert_hf/modeling") == MODELING


@pytest.mark.parametrize("path", MODELING, ids=lambda path: path.name)
def test_transformers_reads_the_same_siblings(path: Path) -> None:
    """Remote code is packed by a regular expression over the text, which prose in a docstring can mislead."""
    siblings = {node.module for node in imports(path.read_text()) if is_relative(node)}
    assert set(get_relative_imports(path)) == siblings
    assert {f"{name}.py" for name in siblings} <= {sibling.name for sibling in MODELING}


@pytest.mark.parametrize("name", ["configuration_autobert.py", "modeling_autobert.py"])
def test_annotations_stay_objects(name: str) -> None:
    """With annotations as strings the strict configuration checks no types and `config_class` becomes a string."""
    lines = [ast.unparse(node) for node in imports((PACKAGE / "modeling" / name).read_text())]
    assert "from __future__ import annotations" not in lines


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files("autobert_hf")}
    limits = {path: 900 if path.name == "modeling_autobert.py" else 400 for path in lengths}
    long = {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > limits[path]}
    assert not long, f"one idea per file; split {long}"
