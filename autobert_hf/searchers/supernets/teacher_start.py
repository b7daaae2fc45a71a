"""Initial weights of a supernet: those of a pretrained teacher, reordered by importance, or new ones."""

from autobert_hf.lab.data.batches import Text
from autobert_hf.lab.distilling.signals import real_tokens
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.loss import Loss
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.modeling.bert_family import as_bert
from autobert_hf.modeling.configuration_autobert import AutoBertConfig
from autobert_hf.modeling.convert import from_bert
from autobert_hf.modeling.modeling_autobert import AutoBertModel, AutoBertPreTrainedModel
from autobert_hf.modeling.ordering import order_by_use
from autobert_hf.records.json_files import read_record
from autobert_hf.searchers.run import Run
from autobert_hf.searchers.supernets.layer_choice import choose_layers
from autobert_hf.searchers.supernets.sliced import SlicedSupernet


WEIGHTS = "supernet/weights"
DEPTH_BATCHES = 4


class TeacherStart:
    """`teacher`: the encoder whose weights the supernet starts from; None for new weights."""

    def __init__(self, run: Run, text: Text, loss: Loss, base: AutoBertConfig, teacher: Teacher | None) -> None:
        self.run = run
        self.text = text
        self.loss = loss
        self.base = base
        self.teacher = teacher

    def model(self, ordered: bool = False) -> AutoBertPreTrainedModel:
        """The largest network, before training; with a teacher's weights, perhaps with its units ordered by use."""
        model = self.run.fresh(lambda: self.loss.network(self.base), "supernet")
        if self.teacher is not None:
            encoder: AutoBertModel = model.base_model  # type: ignore[assignment]
            encoder.load_state_dict(from_bert(as_bert(self.teacher.model)).state_dict())
            if ordered:
                batches = self.text.fitting_batches("order")  # of which packed ones have no mask
                order_by_use(encoder, [batch | {"attention_mask": real_tokens(batch)} for batch in batches])
        model.to(self.run.team.device)  # type: ignore[arg-type]  # a decorator of transformers hides the method
        return model

    def prepare(self, supernet: SlicedSupernet) -> None:
        """
        Prepares a supernet with a teacher's weights for training: orders units by use, so that slices keep the most
        used ones, fits the loss's map to the teacher, and chooses the layers of shallower networks on held-out text.
        """
        if self.teacher is None:
            return
        if not self.run.has_trained(WEIGHTS):
            order_by_use(supernet.module.eval(), self.text.fitting_batches("order"))
            self.loss.fit([supernet.module], self.text.fitting_batches("ridge"))
        self.run.once("depths", lambda: self._depths(supernet))
        self._read_depths(supernet)

    def load(self, supernet: SlicedSupernet) -> None:
        """
        Loads the trained weights into the supernet.

        Raises:
            RunError: if the training has not finished.
        """
        self.run.load(WEIGHTS, supernet.module, self.loss)
        if self.teacher is not None:
            self._read_depths(supernet)

    def _depths(self, supernet: SlicedSupernet) -> dict[str, list[int]]:
        loss = HeldOut(self.loss, self.text.held_out[:DEPTH_BATCHES], self.run.team)
        return {str(depth): layers for depth, layers in choose_layers(supernet.sliceable, loss).items()}

    def _read_depths(self, supernet: SlicedSupernet) -> None:
        table = read_record(self.run.path / "report" / "depths.json")
        supernet.depths = {int(depth): layers for depth, layers in table.items()}
