"""
Runs the pipelines that fit a saved AutoBert head: `pipeline` takes our folders by name.

    python examples/pipelines.py out/model
    python examples/pipelines.py runs/topic "The sailor lowers the anchor." "A judge reads the contract."

fill-mask wants the tokenizer's mask in the text, zero-shot-classification a classifier with a label "entailment".
transformers has no pipeline for next-sentence prediction, multiple choice and replaced tokens, and none any more for
question answering: call those models, as in fine_tune_question_answering.py. feature-extraction reports a head's own
weights as UNEXPECTED and a pooler as MISSING: it uses neither.
"""

import argparse

from transformers import AutoConfig, AutoTokenizer, pipeline

import autobert_hf  # noqa: F401  (the Auto classes know AutoBert from here on)


PIPELINES = {
    "AutoBertModel": ["feature-extraction"],
    "AutoBertForMaskedLM": ["fill-mask", "feature-extraction"],
    "AutoBertForPreTraining": ["fill-mask", "feature-extraction"],
    "AutoBertForSequenceClassification": ["text-classification"],
    "AutoBertForTokenClassification": ["token-classification"],
    "AutoBertForCausalLM": ["text-generation"],
}
OPTIONS = {
    "zero-shot-classification": {"candidate_labels": ["music", "law", "the sea"]},
    "text-generation": {"max_new_tokens": 10, "do_sample": False},
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="Folder or Hub id of an AutoBert network.")
parser.add_argument("texts", nargs="*", default=["The sailor steers the ship.", "The lawyer reads a long contract."])
given = parser.parse_args()

config, tokenizer = AutoConfig.from_pretrained(given.model), AutoTokenizer.from_pretrained(given.model)
head = config.architectures[0]
tasks = PIPELINES.get(head, [])
if "entailment" in {label.lower() for label in config.label2id}:
    tasks = [*tasks, "zero-shot-classification"]
print(f"{head}: {', '.join(tasks) or 'no pipeline'}")

for task in tasks:
    texts = given.texts
    if task == "fill-mask":  # the last word is asked for where no text says which
        texts = [t if tokenizer.mask_token in t else f"{t.rsplit(' ', 1)[0]} {tokenizer.mask_token} ." for t in texts]
    for text, result in zip(texts, pipeline(task, given.model)(texts, **OPTIONS.get(task, {})), strict=True):
        shown = f"{len(result[0])} tokens of {len(result[0][0])}" if task == "feature-extraction" else result
        print(f"{task} | {text}\n    {shown}")
