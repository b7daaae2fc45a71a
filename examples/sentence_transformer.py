"""
Makes a SentenceTransformer of an AutoBert encoder, saves it and loads it back. Pooling and what else a folder of
sentence-transformers holds stay; to any other encoder, mean pooling is added.

    python examples/sentence_transformer.py out/model runs/sentences
    python examples/sentence_transformer.py out/model runs/sentences --data FOLDER

FOLDER holds a file validation.parquet with sentence1, sentence2 and a similarity `label`, as STS-B has; the rank
correlation with it is printed. Needs `pip install sentence-transformers`. Only an encoder that learned to (a converted
all-MiniLM-L6-v2, one distilled from it, one trained with SentenceTransformerTrainer) has vectors worth comparing.
"""

import argparse

import torch
from datasets import load_dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)


TEXTS = ["A man is playing a guitar.", "Somebody plays an instrument.", "The stock market fell today."]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="Folder or Hub id of an AutoBert encoder.")
parser.add_argument("output_dir")
parser.add_argument("--data", help="Folder with validation.parquet: sentence1, sentence2, label.")
given = parser.parse_args()

model = SentenceTransformer(given.model, device="cpu")
vectors = model.encode(TEXTS, convert_to_tensor=True)
print("cosine of the first sentence with the others:", model.similarity(vectors[:1], vectors[1:])[0].tolist())

if given.data:
    rows = load_dataset(given.data, split="validation")
    pairs = rows["sentence1"][:], rows["sentence2"][:], rows["label"][:]
    print(EmbeddingSimilarityEvaluator(*pairs, main_similarity="cosine")(model))

model.save_pretrained(given.output_dir)
again = SentenceTransformer(given.output_dir, device="cpu")
assert torch.allclose(again.encode(TEXTS, convert_to_tensor=True), vectors, atol=1e-6)
print(f"Saved, and the same when loaded back: {given.output_dir}.")
