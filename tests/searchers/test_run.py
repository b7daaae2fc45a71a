"""A run's trainings, killed and continued, leave what one leaves that nobody disturbed; what is made once stays."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autobert_hf import AutoBertConfig, AutoBertForMaskedLM
from autobert_hf.lab.data.batches import Stream, Text
from autobert_hf.lab.losses.masked_words import MaskedWords
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.lab.training.team import Team
from autobert_hf.lab.training.trainer import Clock, Trainer
from autobert_hf.records.json_files import read_record
from autobert_hf.records.run_folder import RunError
from autobert_hf.records.tensor_files import read_tensors
from autobert_hf.records.trainings import read_trainings
from autobert_hf.searchers.run import Run

from ..conftest import new_model


STEPS = 12


class Scaled(MaskedWords):
    """A loss with a parameter of its own."""

    def __init__(self, student: AutoBertConfig) -> None:
        super().__init__(student)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, batch, items, step):
        losses = super().forward(batch, items, step)
        return lambda network: {"mlm": losses(network)["mlm"] * self.scale.square().sum()}


class Memory:
    """A policy's: it remembers what it has seen, and draws by that."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.drawn: list[int] = []

    def __call__(self) -> int:
        self.drawn.append(sum(self.seen))
        return self.drawn[-1]

    def after_step(self, step: int) -> None:
        self.seen.append(step)

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class Training:
    """What a new process has: a network that counts in a buffer, a loss with a parameter, a policy that remembers."""

    def __init__(self, config: AutoBertConfig, text: Text, team: Team, seed: int = 0) -> None:
        self.text = text
        self.model = new_model(config, seed)
        self.model.register_buffer("count", torch.zeros(()))
        self.loss, self.memory = Scaled(config), Memory()
        held_out = HeldOut(self.loss, text.held_out, team)
        self.score = lambda: held_out(self.model.eval())
        recipe = Recipe(STEPS, learning_rate=5e-3, decay=0.3)
        self.trainer = Trainer(self.model, self.loss, self.networks, recipe, team, [self.memory])

    def networks(self, step: int, shard: int) -> list[AutoBertForMaskedLM]:
        self.model.count += self.memory() + 1
        return [self.model]

    def run(self, run: Run, until: int | None = None, scored: bool = True) -> Any:
        score = self.score if scored else None
        return run.train("supernet/weights", self.trainer, self.text.stream("test"), until, score)

    def state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.trainer.tensors().items()}


@pytest.fixture
def new(config, text, team) -> Any:
    """A new process: with the same start, or another one, which a checkpoint has to replace."""
    return lambda seed=0: Training(AutoBertConfig.from_dict(config.to_dict()), text, team, seed)


def assert_same(one: Training, other: Training) -> None:
    ours, theirs = one.state(), other.state()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def files(run: Run) -> list[str]:
    return sorted(path.name for path in (run.path / "supernet").iterdir())


def test_what_a_training_leaves(new, run):
    training = new()
    curve = training.run(run)
    tensors, metadata = read_tensors(run.path / "supernet" / "weights.safetensors")
    assert files(run) == ["weights.safetensors"]
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in training.state().items())
    assert {"model.count", "loss.scale"} <= set(tensors), "buffers and the loss's own parameters are saved"
    assert not any(name.startswith("optimizer") for name in tensors)
    assert metadata["steps"] == str(STEPS)
    assert metadata["tokens"] == str(STEPS * 8 * 24)
    assert [tuple(point) for point in json.loads(metadata["curve"])] == curve
    assert curve[-1] == (STEPS * 8 * 24, training.score())
    assert curve[-1][1] < curve[0][1]


class Killed(Exception):
    pass


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    update = Trainer.update

    def killed(trainer, batch):
        if trainer.step == step:
            raise Killed
        return update(trainer, batch)

    monkeypatch.setattr(Trainer, "update", killed)


@pytest.mark.parametrize("kills", [(1,), (5,), (2, 9), (11,)])
@pytest.mark.parametrize("often", [True, False], ids=["checkpoint at every step", "checkpoints at the points only"])
def test_killed_and_continued_is_as_never_killed(new, run, team, tmp_path, monkeypatch, kills, often):
    whole = new()
    curve = whole.run(Run(tmp_path / "whole", 0, team))
    monkeypatch.setattr(Clock, "rings", lambda clock: often)
    for kill in kills:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(kill, patch)
            new().run(run)
    last = new(seed=1)
    assert last.run(run) == curve
    assert_same(last, whole)
    assert last.memory.seen == [*range(1, STEPS + 1)], "the policy's memory"
    done = STEPS - len(last.memory.drawn)
    assert last.memory.drawn == whole.memory.drawn[done:], "and what it draws by that"


def test_stretches_are_one_training(new, run, team, tmp_path):
    """Each in a process of its own; moments, rates and memory go on as if nobody had stopped."""
    whole, last = new(), new(seed=1)
    curve = whole.run(Run(tmp_path / "whole", 0, team))
    assert new().run(run, until=3) == [point for point in curve if point[0] <= 3 * 8 * 24]
    assert files(run) == ["training-weights.safetensors"]
    _, metadata = read_tensors(run.path / "supernet" / "training-weights.safetensors")
    assert (metadata["step"], metadata["steps"]) == ("3", str(STEPS)), "nothing of a stretch is trained again"
    assert not run.has_trained("supernet/weights")
    new(seed=1).run(run, until=9)
    assert last.run(run) == curve
    assert_same(last, whole)
    assert files(run) == ["weights.safetensors"]


def test_stretches_of_one_process(new, run, team, tmp_path):
    whole, training = new(), new()
    curve = whole.run(Run(tmp_path / "whole", 0, team))
    for until in (4, 4, 9, None):
        last = training.run(run, until)
    assert last == curve
    assert_same(training, whole)


def test_moments_matter(new, run, team, tmp_path):
    """Else the tests above would pass if a stretch kept the weights alone."""
    whole, first, second = new(), new(), new()
    whole.run(run)
    first.run(Run(tmp_path / "other", 0, team), until=6)
    second.model.load_state_dict(first.model.state_dict())
    second.loss.load_state_dict(first.loss.state_dict())
    second.memory.restore(first.memory.state())
    second.trainer.step = 6
    second.trainer.run(second.text.stream("test"))
    assert any(not torch.equal(p, q) for p, q in zip(whole.model.parameters(), second.model.parameters(), strict=True))


def test_a_finished_training_is_loaded_and_not_repeated(new, run, monkeypatch):
    first, second = new(), new(seed=1)
    curve = first.run(run)
    leftover = run.path / "supernet" / "training-weights.safetensors"
    leftover.write_bytes(b"what a process leaves that dies between the two")
    monkeypatch.setattr(Trainer, "update", lambda trainer, batch: pytest.fail("trained again"))
    assert second.run(run) == curve
    assert_same(first, second)
    assert not leftover.exists()


def test_the_score_changes_nothing(new, run, team, tmp_path):
    """Neither a mode that it leaves behind nor a draw: dropout is on in every step, and in no score."""
    drops = [new(), new()]
    for training in drops:
        for module in training.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.3
    for training, scored, name in zip(drops, (True, False), ("a", "b"), strict=True):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            curve = training.run(Run(tmp_path / name, 0, team), scored=scored)
            assert bool(curve) == scored
    assert_same(*drops)


def test_what_has_not_ended_cannot_be_loaded(new, run):
    first, second = new(), new(seed=1)
    first.run(run, until=3)
    with pytest.raises(RunError, match=r"holds no finished supernet/weights: let the search go on \(`autobert status"):
        run.load("supernet/weights", second.model, second.loss)
    first.run(run)
    run.load("supernet/weights", second.model, second.loss)
    assert_same(first, second)


def test_two_trainings_of_a_run_have_a_name_each(new, run):
    one, other = new(), new(seed=1)
    for training, name in ((one, "one"), (other, "other")):
        training.trainer.recipe = Recipe(2)
        run.train(name, training.trainer, training.text.stream(name))
    assert sorted(path.name for path in run.path.glob("*.safetensors")) == ["one.safetensors", "other.safetensors"]
    done = [(training.name, training.steps, training.is_done) for training in read_trainings(run.path)]
    assert done == [("one", 2, True), ("other", 2, True)]


@pytest.fixture
def second(run) -> Run:
    """Another process of the run than the first."""
    team = Team(run.team.accelerator)
    team.is_main = False
    return Run(run.path, run.seed, team)


def test_once_is_once(run, second):
    made = []

    def make() -> dict[str, list[int]]:
        made.append(1)
        return {"2": [0, 2]}

    assert run.once("depths", make) == {"2": [0, 2]}
    assert run.once("depths", lambda: pytest.fail("made again")) == {"2": [0, 2]}
    assert second.once("depths", lambda: pytest.fail("made again")) == {"2": [0, 2]}
    assert made == [1]
    assert read_record(run.path / "report" / "depths.json") == {"2": [0, 2]}


def test_other_processes_make_nothing_and_write_nothing(run, second, new):
    assert second.once("depths", lambda: pytest.fail("not the first process")) == {}
    second.record("goals", {})
    new().run(second)
    assert not run.path.exists()


def test_what_fails_is_not_once_and_for_all(run):
    with pytest.raises(ZeroDivisionError):
        run.once("depths", lambda: {"one": 1 / 0})
    assert run.once("depths", lambda: {"one": 1}) == {"one": 1}


def test_what_is_drawn_anew_follows_from_seed_and_name(run, team, config):
    def drawn(seed: int, name: str) -> torch.Tensor:
        return Run(run.path, seed, team).fresh(lambda: torch.randn(5), name)

    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    first = drawn(0, "found")
    assert torch.equal(torch.randn(3), expected), "a script's own draws are not moved"
    assert torch.equal(drawn(0, "found"), first)
    assert not torch.equal(drawn(1, "found"), first)
    assert not torch.equal(drawn(0, "bert"), first)


def test_batches_are_those_of_the_purpose(text):
    stream = text.stream("test")
    assert isinstance(stream, Stream)
    assert not torch.equal(stream(0)["input_ids"], text.stream("other")(0)["input_ids"])


def test_a_folder_is_made_where_it_is_needed(run: Run, new: Any) -> None:
    assert not Path(run.path).exists()
    new().run(run, until=1)
    assert files(run) == ["training-weights.safetensors"]
