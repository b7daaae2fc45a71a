"""The model card of a run: README.md and figures next to the weights, made from the run's records alone."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from autobert_hf.hub_cards.architecture import Network
from autobert_hf.hub_cards.escape import Safe, markdown, one_line
from autobert_hf.hub_cards.facts import HUB_ID, facts, latency
from autobert_hf.hub_cards.figures import draw_front, draw_predicted, draw_training
from autobert_hf.hub_cards.front_figure import draw_fronts
from autobert_hf.hub_cards.run_reader import RunRecords
from autobert_hf.hub_cards.search_figure import draw_search
from autobert_hf.hub_cards.strip import draw_architecture
from autobert_hf.records.files import write_text


SEAL = "\n<!-- written by autobert-hf, {} -->\n"


def write_card(
    run: Path, folder: Path | None = None, trial: int | None = None, records: RunRecords | None = None
) -> None:
    """
    Writes README.md and its figures into `folder`, which holds the model of `run` made from `trial`. By default, the
    folder is `run/model`, with the best trial. `records`: those of that run, network and trial, if they
    were read before.

    Raises:
        RunError, StudyError, JournalError: if the records are not those of a finished run.
    """
    folder = folder or run / "model"
    network = records.network if records and records.network else Network(folder)
    records = records or RunRecords.read(run, trial, network)
    known = facts(records, network)
    figures = draw_figures(records, network, folder)
    body = markdown("model_card.md", metadata=Safe(metadata(known).to_yaml()), figures=figures, **known)
    ModelCard(body, ignore_metadata_errors=False)  # raises for metadata that the Hub would reject
    write_text(folder / "README.md", sealed(body))


def sealed(body: str) -> str:
    """A text with its digest appended, which reveals changes by hand."""
    return body + SEAL.format(hashlib.sha256(body.encode()).hexdigest()[:16])


def is_ours(card: Path) -> bool:
    """Whether a card is unchanged since it was generated, or missing: a card edited by hand is never replaced."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.exists() else sealed("")
    return text == sealed(text[: text.rfind(SEAL[:5])])


def draw_figures(records: RunRecords, network: Network | None, folder: Path) -> list[str]:
    """Draws all figures that the records allow; returns their file names in the order of the card."""
    training, predictor = records.training, records.reports.get("predictor", {})
    predicted = [row for row in latency(records) if row["predicted"] is not None]
    drawings = {
        "architecture.png": partial(draw_architecture, network) if network and network.fits_a_figure else None,
        "search.png": partial(draw_search, records),
        "front.png": _front_drawing(records),
        "training.png": partial(draw_training, training) if training else None,
        "predicted.png": partial(draw_predicted, predicted, predictor) if predicted or predictor else None,
    }
    found = {name: draw for name, draw in drawings.items() if draw}
    for name, draw in found.items():
        draw(folder / name)
    return list(found)


def _front_drawing(records: RunRecords) -> Callable[[Path], None] | None:
    if records.size is None:
        return None
    return partial(draw_fronts, records) if len(records.axes) > 2 else partial(draw_front, records, records.size)


def metadata(known: dict[str, Any]) -> ModelCardData:
    """The card's metadata for the Hub; strings from outside are included only if they have the form of an id."""
    network, settings = known["network"], known["settings"]
    method, dataset = one_line(settings.get("method") or "architecture search"), settings.get("dataset")
    results = evaluation(known)
    return ModelCardData(
        library_name="sentence-transformers" if network.is_sentence_transformer else "transformers",
        pipeline_tag=network.pipeline_tag,
        tags=[tag for tag in ("autobert", "neural-architecture-search", identifier(method)) if tag],
        license=identifier(settings.get("license")),
        base_model=(known["teacher"] or {}).get("id"),
        datasets=identifier(dataset),
        model_name=f"found by {method}" if results else None,
        eval_results=results,
    )


def identifier(name: str | None) -> str | None:
    """The name if it has the form of a repository, tag or licence id, as the Hub requires; else None."""
    return name if name and HUB_ID.fullmatch(name) else None


def evaluation(known: dict[str, Any]) -> list[EvalResult] | None:
    """The loss after the final training, the only score of the published weights; None without one."""
    if known["training"] is None or known["training"]["floor"] is None:
        return None
    by_role = {row["role"]: row["name"] for row in reversed(known["inputs"])}
    hub = known["settings"].get("dataset")
    names = [hub, *(by_role.get(role) for role in ("validation", "train", "dataset", "built-in text")), "text"]
    name = one_line(next(name for name in names if name))
    return [
        EvalResult(
            task_type=known["network"].pipeline_tag,
            dataset_type=name if hub else "text",
            dataset_name=name,
            metric_type="loss",
            metric_name=one_line(f"held-out loss ({known['training']['unit']})"),
            metric_value=float(known["training"]["loss"]),
        )
    ]
