"""The card of a supernet: its front, with what was measured of each point, and how to take a size."""

from .configuration_autobert import AutoBertConfig
from .supernet_space import IN_LAYER, SuperNetSpace


REPOSITORY = "REPOSITORY"  # on a saved card, where a push writes the id
HEAD = """---
library_name: transformers
pipeline_tag: {task}
tags:
- autobert
- supernet
---

# A supernet of {low} to {high} parameters

One checkpoint, from which each size is loaded without reading or downloading the rest:

```python
import autobert_hf
from transformers import AutoModel

model = AutoModel.from_pretrained("REPOSITORY", architecture="{name}")
```

Without `pip install autobert-hf`, leave the first line out and add `trust_remote_code=True`. `architecture` may be a
name of the table, `"smallest"` or `"largest"`, limits (`{{"max_params": 5_000_000}}`, `{{"max_latency": 0.5}}`) or
sizes (`{{"hidden_size": {hidden}}}`). The result is an ordinary model, to fine-tune and save as any.

"""


def card(space: SuperNetSpace, config: AutoBertConfig) -> str:
    """README.md, in which REPOSITORY stands for the repository's name."""
    names = sorted(space.points, key=lambda name: space.scores(name, config)["parameters"])
    counts = [space.scores(name, config)["parameters"] for name in names]
    first = space.front[0]["name"] if space.front else "smallest"
    task = "fill-mask" if "MaskedLM" in (config.architectures or [""])[0] else "feature-extraction"
    low, high, _ = space.box["hidden_size"]
    head = HEAD.format(task=task, low=f"{counts[0]:,}", high=f"{counts[-1]:,}", name=first, hidden=low)
    return head + "\n".join(_table(space, config, names)) + "\n" + _notes(space)


def _table(space: SuperNetSpace, config: AutoBertConfig, names: list[str]) -> list[str]:
    scores = list(dict.fromkeys(name for point in space.points.values() for name in point["scores"]))
    scores = [name for name in scores if name != "parameters"]
    columns = ["name", "layers", "width", *(name.replace("_", " ") for name in IN_LAYER), "parameters", *scores]
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for name in names:
        point, known = space.points[name], space.scores(name, config)
        sizes = [point["sizes"][key] for key in ("num_hidden_layers", "hidden_size", *IN_LAYER)]
        shown = [" ".join(map(str, size)) if isinstance(size, list) else str(size) for size in sizes]
        measured = [f"{known[score]:.4g}" if score in known else "" for score in scores]
        lines.append("| " + " | ".join([name, *shown, f"{int(known['parameters']):,}", *measured]) + " |")
    return lines


def _notes(space: SuperNetSpace) -> str:
    notes = ["\nParameters are those of the encoder with its embeddings, without a head."]
    if space.quality:
        best = "higher" if space.quality["direction"] == "maximize" else "lower"
        notes.append(f"Points are chosen by `{space.quality['name']}` ({space.quality['unit']}; {best} is better).")
    if space.machine:
        notes.append(
            f"Latencies are shares of that of {space.reference or 'the reference'}, measured on {space.machine}."
        )
    return " ".join(notes) + "\n"
