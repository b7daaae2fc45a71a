"""The published architectures as a Markdown table, with our counts and the papers': `autobert zoo` and docs/zoo.md."""

from autobert_hf.modeling.arithmetic import count_flops, count_parameters
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.zoo import ZOO, ZooEntry


COLUMNS = ("name", "layers x width", "M parameters", "paper", "counted with", "FLOPs", "paper", "source", "note")


def zoo_table() -> str:
    """
    One row per entry, then the notes: why figures differ and what a paper leaves open. FLOPs are those of
    `AutoBertModel` without pooler for one sequence of 128 tokens, two for each multiply-add.
    """
    notes = list(dict.fromkeys(entry.note for entry in ZOO.values() if entry.note))
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(name, entry, notes) for name, entry in ZOO.items())]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return table + "\n" + "".join(f"{number}. {note}\n" for number, note in enumerate(notes, start=1))


def _row(name: str, entry: ZooEntry, notes: list[str]) -> list[str]:
    config = AutoBertConfig.from_zoo(name)
    widths = sorted({layer.layer_width for _, layer in config.layers()})
    return [
        f"`{name}`",
        f"{config.num_hidden_layers} x {'/'.join(map(str, widths))}",
        f"{count_parameters(config, entry.head) / 1e6:.1f}",
        "" if entry.paper_parameters is None else f"{entry.paper_parameters:g}",
        f"`{entry.head}`",
        _scientific(count_flops(config)),
        "" if entry.paper_flops is None else _scientific(entry.paper_flops),
        entry.source,
        str(notes.index(entry.note) + 1) if entry.note else "",
    ]


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
