"""Training of one network for whatever the supernet was trained for (AutoTinyBERT's further training)."""

from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from autobert_hf.lab.training.team import sum_gradients
from autobert_hf.lab.training.trainer import PARTS, Batch, Recipe, Trainer, to_device
from autobert_hf.searchers.supernets.sliced import Objective, Trainee


class ObjectiveTrainer(Trainer):
    """Follows the mean of the objective over the parts of a batch, which are the same on any number of processes."""

    def __init__(self, model: PreTrainedModel, objective: Objective, recipe: Recipe, accelerator: Accelerator) -> None:
        super().__init__(Trainee(model, objective), recipe, accelerator, shared=True)  # type: ignore[arg-type]
        self.network: Any = model
        self.objective = objective

    def differentiate(self, batch: Batch) -> float:
        number = max(PARTS, self.accelerator.num_processes)
        rows = {name: tensor.tensor_split(number) for name, tensor in batch.items()}
        total = torch.zeros((), device=self.accelerator.device)
        for part in range(self.accelerator.process_index, number, self.accelerator.num_processes):
            with self.accelerator.autocast():
                own = to_device({name: rows[name][part] for name in rows}, self.accelerator)
                loss = self.objective(own)(self.network) / number
            self.accelerator.backward(loss)
            total += loss.detach()
        sum_gradients(self.parameters, self.accelerator)
        return self.accelerator.reduce(total, "sum").item()
