"""The sliced supernet: its parts are its models, and batch-wise training follows the true mean of all gradients."""

from random import Random

import pytest
import torch
from accelerate import debug_launcher
from transformers import BertConfig, BertModel

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM, AutoBertModel
from autobert_hf.lab.distilling.teacher import Teacher
from autobert_hf.lab.losses.distillation import SentencesAndStates
from autobert_hf.lab.losses.loss import Step
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Trainer
from autobert_hf.modeling.slicing import Cut
from autobert_hf.searchers.policies.batch_wise import BatchWise
from autobert_hf.searchers.spaces.autotinybert import AutoTinyBertSpace
from autobert_hf.searchers.supernets import SlicedSupernet, sampled

from ..several import team_of


BASE = AutoBertConfig(
    vocab_size=60,
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
POLICY = BatchWise(SPACE, seed=0)


def new_supernet(depths: dict[int, tuple[int, ...]] | None = None) -> SlicedSupernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SlicedSupernet(SPACE, AutoBertForMaskedLM(BASE), depths)


def batch(step: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(5, 60, (7, 10), generator=generator)  # seven rows make shards of four and three
    return {"input_ids": ids, "labels": ids.masked_fill(torch.rand(ids.shape, generator=generator) > 0.4, -100)}


def new_trainer(supernet: SlicedSupernet, team: Team) -> Trainer:
    recipe = Recipe(3, shards=2)
    return Trainer(supernet.module, MaskedWords(BASE), sampled(supernet, POLICY), recipe, team, [POLICY])


@pytest.mark.parametrize("space", [SPACE, HAT], ids=["identical layers", "layers differ"])
def test_cuts_are_configurations(space):
    supernet = new_supernet({2: (0, 2), 1: (1,)})
    for architecture in BatchWise(space, 0, number=6)(0, 0):
        extracted = supernet.extract(architecture)
        assert Cut.of(extracted.config) == Cut.of(architecture.to_config(BASE))
        kept = {1: [1], 2: [0, 2], 3: [0, 1, 2]}[len(architecture.layers)]
        assert [layer.source for layer in supernet.cut(architecture).layers] == kept
        with torch.no_grad():
            inside, outside = supernet.network(architecture, training=False)(**batch()), extracted(**batch())
        torch.testing.assert_close(inside.logits, outside.logits, atol=1e-6, rtol=1e-6)


def test_a_factorized_embedding_is_left_alone():
    base = AutoBertConfig.from_dict(BASE.to_dict() | {"embedding_size": 10})
    supernet = SlicedSupernet(SPACE, AutoBertForMaskedLM(base))
    architecture = SPACE.sample(Random(0))
    assert supernet.extract(architecture).config == architecture.to_config(supernet.module.config)


def test_every_shard_of_every_step_has_other_sub_networks():
    drawn = [POLICY(step, shard) for step in range(3) for shard in range(2)]
    assert all(len(one) == 3 for one in drawn)
    assert len({architecture for one in drawn for architecture in one}) > 14
    assert BatchWise(SPACE, 0)(1, 1) == drawn[3]
    assert BatchWise(SPACE, 1)(1, 1) != drawn[3]


def test_the_gradient_is_the_mean_over_sub_networks_and_labelled_tokens(team):
    """Of uneven shards: what counts is the whole batch's number of labelled tokens."""
    supernet, loss, wanted = new_supernet(), MaskedWords(BASE), {}
    whole = loss.items(batch())
    for shard in range(2):
        rows = {name: tensor.tensor_split(2)[shard] for name, tensor in batch().items()}
        for architecture in POLICY(0, shard):
            supernet.module.zero_grad()
            loss(rows, whole, Step())(supernet.network(architecture))["mlm"].backward()
            for name, parameter in supernet.module.named_parameters():
                if parameter.grad is not None:
                    wanted[name] = wanted.get(name, 0) + parameter.grad / 3
    trained = new_supernet()
    new_trainer(trained, team).differentiate(batch())
    for name, parameter in trained.module.named_parameters():
        assert (parameter.grad is None) == (name not in wanted)
        if name in wanted:
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-7, rtol=1e-4)


@pytest.fixture
def teacher(tmp_path, tokenizer, team):
    sizes = {"hidden_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=60, **sizes), add_pooling_layer=False).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    return Teacher(str(tmp_path / "teacher"), tokenizer, team.device)


def test_the_map_to_the_teacher_is_trained_saved_and_taken_up_again(teacher, team, tmp_path):
    large = AutoBertModel(BASE, add_pooling_layer=False)

    def texts(step):
        ids = batch(step)["input_ids"]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def new() -> Trainer:
        supernet = SlicedSupernet(SPACE, AutoBertModel(BASE, add_pooling_layer=False))
        supernet.module.load_state_dict(large.state_dict())
        loss = SentencesAndStates(BASE, teacher)
        return Trainer(supernet.module, loss, sampled(supernet, POLICY), Recipe(4), team)

    whole, first, second = new(), new(), new()
    whole.run(texts)
    first.run(texts, until=2)
    first.save(tmp_path / "state.safetensors")
    second.load(tmp_path / "state.safetensors")
    second.run(texts)
    assert not torch.equal(whole.loss.map.weight, torch.eye(20, 24))
    assert len(whole.parameters) == len([*large.parameters()]) + 2, "the teacher is not among what is trained"
    for one, other in zip(whole.parameters, second.parameters, strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


def train(team: Team, path: str) -> None:
    """Three steps on this process's share; the first process writes the weights."""
    trained = new_trainer(new_supernet(), team)
    trained.run(batch)
    if team.is_main:
        torch.save(dict(trained.trained.named_parameters()), path)


def train_on_one_of_two(path: str) -> None:
    train(team_of(2), path)


@pytest.mark.slow
def test_two_processes_train_as_one(team, tmp_path):
    train(team, str(tmp_path / "one.pt"))
    debug_launcher(train_on_one_of_two, (str(tmp_path / "two.pt"),), num_processes=2)
    one, two = (torch.load(tmp_path / name) for name in ("one.pt", "two.pt"))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-6, rtol=1e-4)
    start = dict(new_supernet().module.named_parameters())
    assert max((one[name] - start[name]).abs().max() for name in one) > 1e-3
