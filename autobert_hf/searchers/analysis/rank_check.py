"""
Does a cheap score rank architectures as training them would? Random networks of a search's space get every cheap score
and are trained from scratch; every score ("judgement") is a trial in a journal.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import torch
from transformers import PreTrainedModel

from autobert_hf.lab.losses.loss import Loss, TrainingError
from autobert_hf.lab.training.held_out import HeldOut
from autobert_hf.lab.training.recipe import Recipe
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.goals import arithmetic_scores
from autobert_hf.records.journal import Journal, JournalError
from autobert_hf.records.seeds import derive
from autobert_hf.records.study import journal_file
from autobert_hf.records.trial import Proposal, Trial, read_trials
from autobert_hf.searchers.analysis.rank_inputs import check_inputs, shared_tokens
from autobert_hf.searchers.evaluators.stand_alone import HALVINGS, StandAlone
from autobert_hf.searchers.methods.method import Method
from autobert_hf.searchers.supernets.supernet import Supernet


INHERITED, SCRATCH_SHORT, STAND_ALONE = "inherited", "scratch, short", "stand-alone"
UNTRAINED = "supernet, untouched"  # recorded with the inherited score
MAX_DRAWS = 100  # per network; ends the draw in a space with too few architectures


@dataclass(frozen=True)
class Judgement:
    """One score to compute: that of `kind` for network `number`. `seed`: the seed of a stand-alone training."""

    kind: str
    number: int
    architecture: Architecture
    seed: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        return self.kind, self.number, self.seed


class RankCheck:
    """
    Networks are numbered and drawn from the space by `draw_seed`, so a larger check reuses a smaller one's trials. The
    run of `method` is only read: its evaluator writes to `folder`. A short training from scratch sees as many tokens
    as a candidate of the run or, if candidates are not trained, a sixteenth of a stand-alone training.
    """

    def __init__(
        self,
        method: Method,
        folder: Path,
        tokens: int,
        short_tokens: int | None = None,
        draw_seed: int = 0,
        learning_rate: float = 1e-3,
    ) -> None:
        check_inputs(method)
        assert method.text is not None
        assert method.loss is not None
        assert method.base is not None
        self.method, self.draw_seed = method, draw_seed
        self.text, self.loss, self.base, self.team = method.text, method.loss, method.base, method.run.team
        self.trials = read_trials(journal_file(method.run.path))
        per_batch, inherited = self.text.train.tokens_per_batch, self.candidate_tokens
        short = short_tokens if short_tokens is not None else inherited or max(tokens >> HALVINGS, per_batch)
        for name, number in (("--tokens", tokens), ("--short-tokens", short)):
            if number < per_batch:
                raise ValueError(f"{name} is less than one batch of {per_batch} tokens: give more.")
        self.short = self.stand_alone(Recipe(short // per_batch, learning_rate, warmup=0.1))
        self.long = self.stand_alone(Recipe(tokens // per_batch, learning_rate, decay=0.3))
        self.evaluator = method.open_evaluator(folder / "supernet")
        self.weights = [(module, copied(module)) for module in (*self.modules(), self.loss)]
        self.held_out = HeldOut(self.loss, self.text.held_out, self.team)
        self.journal = Journal(folder / "journal.jsonl")

    @cached_property
    def candidate_tokens(self) -> int:
        """Tokens that a candidate of the run is trained on before it is scored; 0 if it is not trained."""
        return max((int(trial.cost.get("tokens", 0)) for trial in self.trials), default=0)

    def modules(self) -> Iterator[torch.nn.Module]:
        return (supernet.module for supernet in self.method.supernets.values())

    def stand_alone(self, recipe: Recipe) -> StandAlone:
        return StandAlone(self.fresh, self.new_loss, self.text, recipe, self.team)

    def fresh(self, architecture: Architecture, seed: int) -> PreTrainedModel:
        config = architecture.to_config(self.base)
        config._attn_implementation = self.base._attn_implementation
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self.loss.network(config)
        return model.to(self.team.device)  # type: ignore[arg-type]  # a decorator of transformers hides the method

    def new_loss(self, model: PreTrainedModel) -> Loss:
        """The run's loss, the same for networks of all sizes, with its own parameters fitted to this network."""
        loss = self.loss.renewed(self.base).to(self.team.device)
        loss.fit([model.eval()], self.fit_batches)
        return loss

    @cached_property
    def fit_batches(self) -> list[dict[str, torch.Tensor]]:
        return self.text.fitting_batches("ridge")

    def architectures(self, count: int) -> list[Architecture]:
        """The first `count` different networks drawn."""
        found: dict[Architecture, None] = {}
        for attempt in range(MAX_DRAWS * count):
            found.setdefault(self.method.space.sample(Random(derive(self.draw_seed, "ranking", attempt))))
            if len(found) == count:
                return list(found)
        raise ValueError(
            f"The space gave {len(found)} different networks in {MAX_DRAWS * count} draws: ask for fewer."
        )

    def judgements(self, count: int, seeds: Sequence[int]) -> Iterator[Judgement]:
        """Cheap ones first, then seed by seed: a check stopped in its second seed can be reported with the first."""
        networks = list(enumerate(self.architectures(count)))
        for kind in (INHERITED, SCRATCH_SHORT):
            yield from (Judgement(kind, number, architecture) for number, architecture in networks)
        for seed in seeds:
            yield from (Judgement(STAND_ALONE, number, architecture, seed) for number, architecture in networks)

    def tokens_left(self, count: int, seeds: Sequence[int]) -> int:
        """Training tokens of the judgements that the journal lacks."""
        known = self.known()
        each = {INHERITED: self.candidate_tokens, SCRATCH_SHORT: self.short.tokens, STAND_ALONE: self.long.tokens}
        return sum(each[one.kind] for one in self.judgements(count, seeds) if one.key not in known)

    def costs(self) -> dict[str, dict[str, int]]:
        """
        Tokens of each cheap score: for training and evaluation per network, and once for all networks
        (`shared_tokens`).
        """
        asked = sum(batch["input_ids"].numel() for batch in self.text.held_out)
        trained = [int(record["cost"].get("tokens", 0)) for record in self.done(INHERITED)]
        supernet = shared_tokens(self.method.run.path, self.trials)
        return {
            INHERITED: {"trained": round(fmean(trained or [0])), "judged": asked} | supernet,
            UNTRAINED: {"trained": 0, "judged": asked} | supernet,
            SCRATCH_SHORT: {"trained": self.short.tokens, "judged": asked, "once": 0},
        }

    def done(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.journal.records if one["kind"] == kind and one["status"] == "done"]

    def known(self) -> dict[tuple[str, int, int], dict[str, Any]]:
        try:
            return {(record["kind"], record["network"], record["seed"]): record for record in self.journal.records}
        except KeyError as error:
            raise JournalError(f"{self.journal.path} holds a line without {error}: restore it from a copy.") from error

    def run(self, count: int, seeds: Sequence[int], on_tokens: Callable[[int], object] = id) -> list[dict[str, Any]]:
        """Computes the judgements that the journal lacks; returns the records of all requested ones."""
        known = self.known()
        asked = list(self.judgements(count, seeds))
        for judgement in asked:
            if judgement.key not in known:
                known[judgement.key] = self._judge(judgement, on_tokens)
                self.journal.append(known[judgement.key])
            elif known[judgement.key]["architecture"] != judgement.architecture.to_json():
                raise JournalError(
                    f"{self.journal.path} holds another network {judgement.number} than this check draws: it was "
                    "changed by hand or written by another version. Start again in a new --output-dir."
                )
        return [known[judgement.key] for judgement in asked]

    def _judge(self, judgement: Judgement, on_tokens: Callable[[int], object]) -> dict[str, Any]:
        """A network that cannot be trained becomes a failed trial with a reason."""
        number, proposal = len(self.journal.records), Proposal(judgement.architecture)
        try:
            with self.evaluator.failures():
                trial = Trial(number, proposal, judgement.seed, *self._scores(judgement, on_tokens))
        except TrainingError as error:
            trial = Trial(number, proposal, judgement.seed, status="failed", reason=str(error))
        return trial.to_record() | {"kind": judgement.kind, "network": judgement.number}

    def _scores(
        self, judgement: Judgement, on_tokens: Callable[[int], object]
    ) -> tuple[Mapping[str, float], Mapping[str, float]]:
        architecture = judgement.architecture
        if judgement.kind == INHERITED:
            before = {"loss before training": self.untouched_loss(architecture)}
            found, cost = self.evaluator.evaluate(judgement.number, architecture, lambda step, scores: True)
            self.evaluator.release_except([], judgement.number + 1)
            on_tokens(self.candidate_tokens)
            return self.sizes(architecture) | found | before, cost
        # A seed that no stand-alone training has: else the two trainings would start with the same weights.
        training, seed = self.long, judgement.seed
        if judgement.kind == SCRATCH_SHORT:
            training, seed = self.short, derive(self.draw_seed, "short")

        def on_step(step: int, loss: float) -> None:
            on_tokens(self.text.train.tokens_per_batch)

        own = replace(training, seed=seed, on_step=on_step)
        return own.evaluate(judgement.number, architecture, lambda step, scores: True)

    def sizes(self, architecture: Architecture) -> dict[str, float]:
        """The scores of a network that are known without training."""
        return arithmetic_scores(architecture.to_config(self.base)) | self.evaluator.known(architecture)

    @property
    def known_sizes(self) -> list[str]:
        return list(self.sizes(self.method.space.largest()))

    @property
    def names(self) -> dict[str, str]:
        """The unit of losses, and the label of the search's main goal."""
        return {"unit": self.loss.unit, "goal": self.method.goals.main.label}

    def untouched_loss(self, architecture: Architecture) -> float:
        """The held-out loss with the shared weights of the run, without further training."""
        for module, state in self.weights:
            module.load_state_dict(state)
        return self.held_out(self.supernet(architecture).network(architecture, training=False))

    def supernet(self, architecture: Architecture) -> Supernet:
        """The supernet whose space contains the architecture."""
        return next(one for one in self.method.supernets.values() if one.space.contains(architecture))


def copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}
