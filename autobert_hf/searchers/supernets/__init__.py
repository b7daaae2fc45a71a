"""Supernets by name."""

from autobert_hf.searchers.supernets.branched import BranchedSupernet
from autobert_hf.searchers.supernets.choice import ChoiceSupernet
from autobert_hf.searchers.supernets.sliced import SlicedSupernet
from autobert_hf.searchers.supernets.supernet import Supernet, sampled


__all__ = ["SUPERNETS", "BranchedSupernet", "ChoiceSupernet", "SlicedSupernet", "Supernet", "sampled"]

SUPERNETS = {"branched": BranchedSupernet, "choice": ChoiceSupernet, "sliced": SlicedSupernet}
