"""
Exports an AutoBert folder, whatever its layers and head, to ONNX with free batch and length, and checks the file in
onnxruntime on a padded batch of other sizes.

    python examples/export_onnx.py out/model runs/onnx

Needs torch 2.11 or newer, and `pip install onnx onnxscript onnxruntime`. The folder then serves without torch and
without this package: onnxruntime.InferenceSession("runs/onnx/model.onnx").
"""

import argparse
from pathlib import Path

import onnxruntime
import torch
from transformers import AutoConfig, AutoTokenizer
from transformers.exporters import OnnxConfig, OnnxExporter

import autobert_hf


TEXTS = ["The old sailor steers the boat.", "A baker melts the butter in the pan that the waiter lost, and tastes it."]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="Folder or Hub id of an AutoBert network.")
parser.add_argument("output_dir", type=Path)
given = parser.parse_args()

head = getattr(autobert_hf, AutoConfig.from_pretrained(given.model).architectures[0])
model = head.from_pretrained(given.model, dtype="float32").eval()
tokenizer = AutoTokenizer.from_pretrained(given.model)

sample = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
OnnxExporter().export(model, sample, OnnxConfig(dynamic=True)).save_pretrained(given.output_dir)
tokenizer.save_pretrained(given.output_dir)

session = onnxruntime.InferenceSession(given.output_dir / "model.onnx")
others = tokenizer([*TEXTS, " ".join(TEXTS)], padding=True, return_tensors="pt")
found = session.run(None, {key.name: others[key.name].numpy() for key in session.get_inputs()})
with torch.no_grad():
    expected = model(**others).to_tuple()
for output, there, here in zip(session.get_outputs(), found, expected, strict=True):
    difference = (torch.from_numpy(there) - here).abs().max().item()
    print(f"{output.name} {list(here.shape)}: largest difference {difference:.1e}")
    assert difference < 1e-4, "onnxruntime says something else than torch"
print(f"{type(model).__name__} as ONNX, with its tokenizer, is in {given.output_dir}.")
