"""Methods by their command-line name; each defines its settings."""

from autobert_hf.searchers.methods.autobert_zero import AutoBertZero
from autobert_hf.searchers.methods.autodistil import AutoDistil
from autobert_hf.searchers.methods.autotinybert import AutoTinyBert
from autobert_hf.searchers.methods.lts import Lts
from autobert_hf.searchers.methods.magic import Magic
from autobert_hf.searchers.methods.method import Method


METHODS: dict[str, type[Method]] = {
    "autobert-zero": AutoBertZero,
    "autotinybert": AutoTinyBert,
    "autodistil": AutoDistil,
    "lts": Lts,
    "magic": Magic,
}
