"""A script that loads a model folder as if this package were not installed, and computes outputs."""

import json
import sys
from pathlib import Path


class NotInstalled:
    """An import finder that hides autobert_hf; it must come first."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "autobert_hf":
            raise ModuleNotFoundError("No module named 'autobert_hf'", name="autobert_hf")


def main(folder: Path, place: Path, auto: str, options: dict[str, bool]) -> None:
    """Reads `batch.safetensors` in `place` and writes `outputs.safetensors` beside it."""
    sys.meta_path.insert(0, NotInstalled())
    import torch
    import transformers
    from safetensors.torch import load_file, save_file

    torch.manual_seed(2)
    remote = {"trust_remote_code": True} if (folder / "modeling_autobert.py").exists() else {}
    model = getattr(transformers, auto).from_pretrained(folder, dtype=torch.float32, **remote, **options).eval()
    if (folder / "tokenizer_config.json").exists():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **remote)
        if max(tokenizer.get_vocab().values()) >= model.config.vocab_size:
            raise ValueError("the tokenizer has more words than the network")
    with torch.no_grad():
        found = model(**load_file(place / "batch.safetensors"))
    tensors = {name: value.contiguous() for name, value in found.items() if isinstance(value, torch.Tensor)}
    save_file(tensors, place / "outputs.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
