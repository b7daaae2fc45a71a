"""
What slices of a sentence encoder are worth untrained, as it is and put in order (autobert_hf/modeling/ordering.py).

    python benchmarks/ordering.py --teacher PATH_OR_ID --text sentences.parquet --pairs validation.parquet

Scores as in students.py; `--text` is what use is counted on, 512 texts of it.
"""

import argparse
from itertools import islice
from pathlib import Path

from students import BATCH, Pairs
from transformers import AutoTokenizer

from autobert_hf.lab.data.documents import read_documents
from autobert_hf.lab.distilling.teacher import load_teacher
from autobert_hf.modeling.convert import from_bert
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.modeling.slicing import Cut, LayerCut
from autobert_hf.modeling.subnetwork import Sliceable
from autobert_hf.records.json_files import write_json


TEXTS = 512
LAYERS = (0, 2, 3, 5)
# Width, attention width of a head, feed-forward width, over the teacher's.
SHARES = {"whole": (1, 1, 1), "heads 3/4": (1, 3 / 4, 1), "heads 1/2": (1, 1 / 2, 1), "inner 5/8": (1, 1, 5 / 8)}
SHARES |= {"width 5/6": (5 / 6, 1, 1), "width 2/3": (2 / 3, 1, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/ordering.json"))
    given = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(given.teacher)
    pairs, texts = Pairs(given.pairs, tokenizer), [*islice(read_documents([given.text]), TEXTS)]
    plain, ordered = (Sliceable(from_bert(load_teacher(given.teacher)).eval()) for _ in range(2))
    parts = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
    order_by_use(
        ordered.model, [tokenizer(p, padding=True, truncation=True, max_length=64, return_tensors="pt") for p in parts]
    )
    results = {}
    for name, (width, head, inner) in SHARES.items():
        hidden = round(width * plain.cut.hidden_size)
        sizes = [(plain.cut.layers[source], source) for source in LAYERS]
        layers = [
            LayerCut(source, one.num_attention_heads, round(head * one.head_dim), round(inner * one.intermediate_size))
            for one, source in sizes
        ]
        cut = Cut(hidden, hidden, tuple(layers))
        results[name] = [pairs.score(pairs.cosines(network.extract(cut))) for network in (plain, ordered)]
        write_json(given.output, results)
        print(name, *(f"{score:.4f}" for score in results[name]), flush=True)


if __name__ == "__main__":
    main()
