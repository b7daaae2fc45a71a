"""Groups of settings that methods combine."""

from autobert_hf.searchers.settings.budget import SearchSettings
from autobert_hf.searchers.settings.described import described, several
from autobert_hf.searchers.settings.front import FrontSettings
from autobert_hf.searchers.settings.front_training import FrontTrainingSettings
from autobert_hf.searchers.settings.latency import LatencySettings, MeasuringSettings, WindowSettings
from autobert_hf.searchers.settings.layer_ranges import LayerRangeSettings
from autobert_hf.searchers.settings.magic import MagicSettings
from autobert_hf.searchers.settings.network import NetworkSettings
from autobert_hf.searchers.settings.op_nas import OpNasSettings
from autobert_hf.searchers.settings.slices import SliceSettings, SupernetSettings
from autobert_hf.searchers.settings.teacher import TeacherSettings
from autobert_hf.searchers.settings.teacher_start import TeacherStartSettings
from autobert_hf.searchers.settings.text import TextSettings
from autobert_hf.searchers.settings.tokens import TokenSettings


__all__ = [
    "FrontSettings",
    "FrontTrainingSettings",
    "LatencySettings",
    "MagicSettings",
    "LayerRangeSettings",
    "MeasuringSettings",
    "NetworkSettings",
    "OpNasSettings",
    "SearchSettings",
    "SliceSettings",
    "SupernetSettings",
    "TeacherSettings",
    "TeacherStartSettings",
    "TextSettings",
    "TokenSettings",
    "WindowSettings",
    "described",
    "several",
]
