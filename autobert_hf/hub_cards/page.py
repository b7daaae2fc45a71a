"""A run as a self-contained HTML page: figures are embedded, without scripts or requests."""

import base64
import io
from pathlib import Path

from markupsafe import Markup
from matplotlib import mathtext
from matplotlib.font_manager import FontProperties

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.card import draw_figures
from autobert_hf.hub_cards.escape import html
from autobert_hf.hub_cards.facts import facts
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.records.files import write_text


CAPTIONS = {
    "architecture.png": "Layers from left (next to the embeddings) to right: mixer below, feed-forward network above.",
    "search.png": "Scores of the candidates in the order of the search, and the kinds of their layers or their sizes.",
    "front.png": "Candidates by size and score, or by each pair of goals.",
    "training.png": "Held-out loss over the final training.",
    "predicted.png": "Predicted against measured latency.",
}
SHOWN = 20  # candidates in the table; the journal has all


def records_with_model(run: Path) -> RunRecords:
    """The records of a run, with the network in `run/model` if there is one."""
    network = Network(run / "model") if (run / "model" / "config.json").exists() else None
    return RunRecords.read(run, network=network)


def write_report(run: Path, records: RunRecords | None = None) -> Path:
    """
    Writes figures as PNG files and `index.html` to `run/report`; the search may still be running. Returns the page.
    `records`: those of `run`, if they were read before.

    Raises:
        RunError, StudyError, JournalError: if the folder holds no run with a finished candidate.
    """
    folder = run / "report"
    records = records or records_with_model(run)
    network = records.network
    figures = [
        {"name": name, "caption": CAPTIONS[name], "uri": data_uri((folder / name).read_bytes(), "image/png")}
        for name in draw_figures(records, network, folder)
    ]
    formulas = list(network.formulas.values()) if network else []
    known = facts(records, network)
    text = html(
        "report.html",
        figures=figures,
        ranked=records.ranked[:SHOWN],
        formulas=[(formula, [equation_uri(line) for line in formula.latex]) for formula in formulas],
        **known,
    )
    page = folder / "index.html"
    write_text(page, text)
    return page


def equation_uri(line: str) -> Markup:
    """An equation as an SVG image, since browsers do not render LaTeX without a script."""
    picture = io.BytesIO()
    mathtext.math_to_image(f"${line}$", picture, FontProperties(size=14), format="svg")
    return data_uri(picture.getvalue(), "image/svg+xml")


def data_uri(data: bytes, kind: str) -> Markup:
    return Markup(f"data:{kind};base64,{base64.b64encode(data).decode()}")  # noqa: S704 (made of base64 alone)
