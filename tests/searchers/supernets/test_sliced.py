"""The sliced supernet: its parts are its models, and batch-wise training follows the true mean of all gradients."""

from functools import partial
from random import Random

import pytest
import torch
from accelerate import Accelerator, debug_launcher

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.losses.distillation import SENTENCES, Distillation
from autobert_hf.lab.training.trainer import Recipe
from autobert_hf.modeling.slicing import Cut
from autobert_hf.searchers.policies.batch_wise import batch_wise
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.supernets.sliced import SlicedSupernet, SupernetTrainer, masked_lm


BASE = AutoBertConfig(
    vocab_size=30,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=32,
    max_position_embeddings=16,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
SPACE = AutoTinyBertSpace.within(BASE, width_step=4, inner_step=4)
HAT = AutoTinyBertSpace.within(BASE, part_of_heads=True, width_step=4, inner_step=4, identical=False)


def new_supernet(depths: dict[int, tuple[int, ...]] | None = None) -> SlicedSupernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SlicedSupernet(AutoBertForMaskedLM(BASE), depths)


def batch(step: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(5, 30, (7, 10), generator=generator)  # seven rows make parts of four and three
    return {"input_ids": ids, "labels": ids.masked_fill(torch.rand(ids.shape, generator=generator) > 0.4, -100)}


def trainer(supernet: SlicedSupernet, steps: int = 3) -> SupernetTrainer:
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    return SupernetTrainer(supernet, masked_lm, partial(batch_wise, SPACE, 0), Recipe(steps), accelerator)


@pytest.mark.parametrize("space", [SPACE, HAT], ids=["identical layers", "layers differ"])
def test_cuts_are_configurations(space):
    supernet = new_supernet({2: (0, 2), 1: (1,)})
    for architecture in batch_wise(space, 0, 0, 0, number=6):
        extracted = supernet.extract(architecture)
        assert Cut.of(extracted.config) == Cut.of(architecture.to_config(BASE))
        kept = {1: [1], 2: [0, 2], 3: [0, 1, 2]}[len(architecture.layers)]
        assert [layer.source for layer in supernet.cut(architecture).layers] == kept
        with torch.no_grad():
            inside, outside = supernet.part(architecture)(**batch()), extracted(**batch())
        torch.testing.assert_close(inside.logits, outside.logits, atol=1e-6, rtol=1e-6)


def test_a_factorized_embedding_is_left_alone():
    base = AutoBertConfig.from_dict(BASE.to_dict() | {"embedding_size": 10})
    supernet = SlicedSupernet(AutoBertForMaskedLM(base))
    architecture = SPACE.sample(Random(0))
    assert supernet.extract(architecture).config == architecture.to_config(base)


def test_every_part_of_every_step_has_other_sub_networks():
    drawn = [batch_wise(SPACE, 0, step, part) for step in range(3) for part in range(2)]
    assert all(len(one) == 3 for one in drawn)
    assert len({architecture for one in drawn for architecture in one}) > 14
    assert drawn[3] == batch_wise(SPACE, 0, 1, 1)
    assert batch_wise(SPACE, 1, 1, 1) != drawn[3]


def test_the_gradient_is_the_mean_over_sub_networks_and_parts():
    supernet, wanted = new_supernet(), {}
    for part, rows in enumerate(zip(*(value.tensor_split(2) for value in batch().values()), strict=True)):
        for architecture in batch_wise(SPACE, 0, 0, part):
            supernet.model.zero_grad()
            masked_lm(dict(zip(batch(), rows, strict=True)))(supernet.part(architecture)).backward()
            for name, parameter in supernet.model.named_parameters():
                if parameter.grad is not None:
                    wanted[name] = wanted.get(name, 0) + parameter.grad / 6
    trained = trainer(new_supernet())
    trained.differentiate(batch())
    for name, parameter in trained.supernet.model.named_parameters():
        assert (parameter.grad is None) == (name not in wanted)
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-7, rtol=1e-4)


def test_the_map_to_the_teacher_is_trained_saved_and_taken_up_again(tmp_path):
    teacher, large = AutoBertModel(BASE), AutoBertModel(BASE)
    accelerator = Accelerator(cpu=True, mixed_precision="no")

    def new_trainer() -> SupernetTrainer:
        torch.manual_seed(0)
        supernet = SlicedSupernet(AutoBertModel(BASE))
        supernet.model.load_state_dict(large.state_dict())
        objective = Distillation(teacher, 24, SENTENCES)
        return SupernetTrainer(supernet, objective, partial(batch_wise, SPACE, 0), Recipe(4), accelerator)

    whole, first, second = new_trainer(), new_trainer(), new_trainer()
    whole.run(batch)
    first.run(batch, until=2)
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    second.run(batch)
    assert not torch.equal(whole.objective.map.weight, torch.eye(24))
    for one, other in zip(whole.parameters, second.parameters, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def train_on_one_process(path: str) -> None:
    """Three steps on this process's share; the first process writes the weights."""
    trained = trainer(new_supernet())
    trained.run(batch)
    if trained.accelerator.is_main_process:
        torch.save(dict(trained.supernet.model.named_parameters()), path)


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    train_on_one_process(str(tmp_path / "one.pt"))
    debug_launcher(train_on_one_process, (str(tmp_path / "two.pt"),), num_processes=2)
    one, two = (torch.load(tmp_path / name) for name in ("one.pt", "two.pt"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-6, rtol=1e-4)
    start = dict(new_supernet().model.named_parameters())
    assert max((one[name] - start[name]).abs().max() for name in one) > 1e-3
