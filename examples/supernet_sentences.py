"""
Takes one size out of a supernet, and serves it as a SentenceTransformer; trained further, it is saved like any.

    python examples/supernet_sentences.py out/supernet/model runs/sentences --size 3x
"""

import argparse

from sentence_transformers import SentenceTransformer

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("supernet")
parser.add_argument("output_dir")
parser.add_argument("--size", default="smallest", help="A name on the supernet's card.")
given = parser.parse_args()
model = SentenceTransformer(given.supernet, model_kwargs={"architecture": given.size}, device="cpu")
vectors = model.encode(["A man plays the guitar.", "The market fell."], convert_to_tensor=True)
model.save_pretrained(given.output_dir)
again = SentenceTransformer(given.output_dir, device="cpu")
assert (again.encode(["A man plays the guitar."], convert_to_tensor=True) - vectors[:1]).abs().max() < 1e-5
