"""Which parts go together. A test builds every pair; docs/methods.md shows the tables."""

from collections.abc import Mapping

from autobert_hf.lab.losses import LOSSES


Pair = tuple[str, str]

_ONE_SIZE = "its networks have layers of several sizes, the branched supernet has one"
_FORMULAS = "slices share one kind of layer, its layers are formulas and convolutions"
_NO_NETWORK = "its architectures name no layers"
_HEAD_SIZES = "one width has heads of several sizes, its slices keep the size of a head or their number"
_NO_SCORES = "a branched supernet needs a model with a head, and formulas have no attention scores to distil"
_NO_OPERATIONS = "its layers are not of a set of operations, all of which the choice supernet holds"
_HALVES = "its layers are halves of layers, with one operation each"
_NO_ATTENTION = "a choice supernet needs a model with a head, and a chain may end without attention to distil"
_NO_WORDS = "formulas have no queries, keys and values that could be compared with a teacher's"

_ONE_EMBEDDING = "its networks have word embeddings of several widths, and the generator shares them"
_BLOCKS = "its networks differ in depth and width, blocks and their maps do not"

_NO_CACHE = "a chain without attention is no decoder"
_NOT_CAUSAL = "a branched supernet has no decoders"
_DIRECTION = {
    "encoder": "it sees the words that it has to predict",
    "decoder": "it sees only the tokens before each token, and the loss needs those on both sides",
}

# Space and supernet: "" where they go together, else why they do not.
SPACE_AND_SUPERNET: Mapping[Pair, str] = {
    ("autobert-zero", "branched"): "",
    ("autobert-zero", "sliced"): _FORMULAS,
    ("autobert-zero", "choice"): _NO_OPERATIONS,
    ("autotinybert", "branched"): _ONE_SIZE,
    ("autotinybert", "sliced"): "",
    ("autotinybert", "choice"): _NO_OPERATIONS,
    ("chain", "branched"): _HALVES,
    ("chain", "choice"): "",
    ("chain", "sliced"): _HALVES,
    ("autodistil", "branched"): _ONE_SIZE,
    ("autodistil", "sliced"): "",
    ("autodistil", "choice"): _NO_OPERATIONS,
    ("grid", "branched"): _NO_NETWORK,
    ("grid", "choice"): _NO_NETWORK,
    ("grid", "sliced"): _NO_NETWORK,
    ("lts", "branched"): _ONE_SIZE,
    ("lts", "sliced"): _HEAD_SIZES,
    ("lts", "choice"): _NO_OPERATIONS,
}

# Loss and the kind of network that learns it.
LOSS_AND_NETWORK: Mapping[Pair, str] = {
    (name, kind): "" if (kind == "decoder") == LOSSES[name].decoders else _DIRECTION[kind]
    for name in LOSSES
    for kind in ("encoder", "decoder")
}

# Loss and the supernet whose networks learn it.
LOSS_AND_SUPERNET: Mapping[Pair, str] = {
    ("mlm", "branched"): "",
    ("mlm", "choice"): "",
    ("mlm", "sliced"): "",
    ("mlm+nsp", "branched"): "",
    ("mlm+nsp", "choice"): "",
    ("mlm+nsp", "sliced"): "",
    ("rtd", "branched"): "",
    ("rtd", "choice"): "",
    ("rtd", "sliced"): _ONE_EMBEDDING,
    ("next-words", "branched"): _NOT_CAUSAL,
    ("next-words", "choice"): _NO_CACHE,
    ("next-words", "sliced"): "",
    ("paper", "branched"): _NO_SCORES,
    ("paper", "choice"): _NO_ATTENTION,
    ("paper", "sliced"): "",
    ("relations", "branched"): _NO_SCORES,
    ("relations", "choice"): _NO_ATTENTION,
    ("relations", "sliced"): "",
    ("relations-kl", "branched"): _NO_SCORES,
    ("relations-kl", "choice"): _NO_ATTENTION,
    ("relations-kl", "sliced"): "",
    ("relations-mse", "branched"): _NO_SCORES,
    ("relations-mse", "choice"): _NO_ATTENTION,
    ("relations-mse", "sliced"): "",
    ("relations-raw", "branched"): _NO_SCORES,
    ("relations-raw", "choice"): _NO_ATTENTION,
    ("relations-raw", "sliced"): "",
    ("mlm+relations", "branched"): _NO_WORDS,
    ("mlm+relations", "choice"): _NO_ATTENTION,
    ("mlm+relations", "sliced"): "",
    ("blocks", "branched"): "",
    ("blocks", "choice"): "",
    ("blocks", "sliced"): _BLOCKS,
    ("sentences", "branched"): _NO_SCORES,
    ("sentences", "choice"): _NO_ATTENTION,
    ("sentences", "sliced"): "",
}


def as_markdown(pairs: Mapping[Pair, str], corner: str) -> str:
    """The table with a row for each first and a column for each second name."""
    rows, columns = (list(dict.fromkeys(pair[place] for pair in pairs)) for place in (0, 1))
    lines = [f"| {corner} | {' | '.join(f'`{name}`' for name in columns)} |", "| --- " * (len(columns) + 1) + "|"]
    for row in rows:
        cells = [f"no: {pairs[row, column]}" if pairs[row, column] else "yes" for column in columns]
        lines.append(f"| `{row}` | {' | '.join(cells)} |")
    return "\n".join(lines)
