"""Settings of the training that some points of a front get after the search; without it no text is read."""

from dataclasses import dataclass

from autobert_hf.lab.data.inputs import Inputs
from autobert_hf.searchers.settings.described import described
from autobert_hf.searchers.settings.text import TextSettings


@dataclass
class FrontTrainingSettings(TextSettings):
    train_front: int = described("Points of the front to train, each beside a baseline scaled in depth.", 0, least=0)
    loss: str = described("What they learn. Default: next-words for decoders, mlm for encoders.", "")

    def __post_init__(self) -> None:
        self.loss = self.loss or ("next-words" if self.is_decoder else "mlm")
        super().__post_init__()
        if self.proxy_task:
            raise ValueError("--proxy-task judges trained candidates, and this search trains none: leave it out.")
        if self.final_loss != self.loss:
            raise ValueError("--final-loss is for searches that train candidates: give --loss alone.")
        if not self.train_front and (self.train_file or self.dataset or self.validation_file):
            raise ValueError("A text was given, and nothing is trained on it: give --train-front, or leave it out.")

    def inputs(self) -> Inputs:
        """Text is an input only of a run that trains."""
        unread = {} if self.train_front else self.source().inputs()
        return {role: named for role, named in super().inputs().items() if role == "tokenizer" or role not in unread}
