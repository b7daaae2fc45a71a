"""
Does a cheap score rank architectures as training them would? Random networks of a finished search's space, each judged
by everything cheap and trained on its own from scratch; every judgement is a trial in a journal.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from autobert_hf.lab.data.text import sha256_of
from autobert_hf.lab.training.trainer import Recipe, TrainingError, evaluate, memory_errors
from autobert_hf.records.architecture import Architecture
from autobert_hf.records.journal import Journal, JournalError, read_journal
from autobert_hf.records.run_folder import RunError, RunFolder
from autobert_hf.records.seeds import derive
from autobert_hf.records.trial import Proposal, Trial
from autobert_hf.searchers.evaluators.stand_alone import StandAlone
from autobert_hf.searchers.methods import METHODS
from autobert_hf.searchers.methods.autobert_zero import AutoBertZero
from autobert_hf.searchers.methods.method import reopen


INHERITED, SCRATCH_SHORT, STAND_ALONE = "inherited", "scratch, same steps", "stand-alone"
UNTRAINED = "supernet, untouched"  # comes with the inherited score
MAX_DRAWS = 100  # for each network: a space with fewer architectures than are asked for


@dataclass(frozen=True)
class Judgement:
    """One thing to find out: what `kind` of score the network `number` gets. A training has a seed of its own."""

    kind: str
    number: int
    architecture: Architecture
    seed: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        return self.kind, self.number, self.seed


def finished_search(run: Path) -> AutoBertZero:
    """
    The search in `run` as it stood at its end: supernet, text, held-out questions. Only reads.

    Raises:
        RunError: if there is no run, no supernet, or a setting that this version does not know.
    """
    RunFolder(run).read("run.json")  # says it better than a missing file does
    last_round(run)
    search = reopen(run, METHODS)
    if not isinstance(search, AutoBertZero):
        raise RunError(f"{run} is no AutoBERT-Zero search: only there do candidates inherit and train on.")
    return search


def last_round(run: Path) -> Path:
    """The supernet's weights at the end of the search."""
    rounds = sorted((run / "supernet").glob("round-*.safetensors"))
    if not rounds or not (run / "text" / "rows.safetensors").exists():
        raise RunError(f"{run} holds no warmed-up supernet: let its search go on first (`autobert status {run}`).")
    return rounds[-1]


def study_inputs(run: Path) -> dict[str, str]:
    """What a study depends on, by name, with its sha256."""
    RunFolder(run).read("run.json")  # says it better than a missing file does
    return {path.name: sha256_of(path) for path in (run / "run.json", last_round(run))}


class RankStudy:
    """
    Networks by number, drawn from the space by `draw_seed`; so a larger study keeps the trials of a smaller one. The
    inherited score starts from the last round's weights of the search, of which `folder` keeps a copy.
    """

    def __init__(self, run: Path, folder: Path, draw_seed: int, short_tokens: int | None, tokens: int) -> None:
        self.search = finished_search(run)
        job, settings = self.search.job, self.search.settings
        per_batch = job.batches.tokens_per_batch
        short = settings.candidate_steps if short_tokens is None else short_tokens // per_batch
        for name, steps in (("--tokens", tokens // per_batch), ("--short-tokens", short)):
            if steps < 1:
                raise ValueError(f"{name} is less than one batch of {per_batch} tokens: give more.")
        rate = settings.learning_rate
        self.job, self.draw_seed = job, draw_seed
        self.biws = self.search.evaluator
        self.biws.recipe = Recipe(short, settings.candidate_learning_rate, warmup=0.1)
        common = (job.base, job.batches, job.held_out)
        self.short = StandAlone(*common, Recipe(short, rate, warmup=0.1), job.accelerator, job.head)
        self.long = StandAlone(*common, Recipe(tokens // per_batch, rate, decay=0.3), job.accelerator, job.head)
        self.search_trials = read_journal(run / "journal.jsonl")
        source, self.biws.folder = last_round(run), folder / "supernet"
        self.round = int(source.stem.removeprefix("round-"))
        self.biws.folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self.biws.round_file(self.round))
        self.biws.start_round(self.round)
        self.journal = Journal(folder / "journal.jsonl")

    def architectures(self, count: int) -> list[Architecture]:
        """The first `count` different networks of the draw."""
        found: dict[Architecture, None] = {}
        for attempt in range(MAX_DRAWS * count):
            found.setdefault(self.search.space.sample(Random(derive(self.draw_seed, "ranking", attempt))))
            if len(found) == count:
                return list(found)
        raise ValueError(
            f"The space gave {len(found)} different networks in {MAX_DRAWS * count} draws: ask for fewer."
        )

    def judgements(self, count: int, seeds: Sequence[int]) -> Iterator[Judgement]:
        """Cheap ones first, then seed by seed: a study stopped in its second seed can be reported with the first."""
        networks = list(enumerate(self.architectures(count)))
        for kind in (INHERITED, SCRATCH_SHORT):
            yield from (Judgement(kind, number, architecture) for number, architecture in networks)
        for seed in seeds:
            yield from (Judgement(STAND_ALONE, number, architecture, seed) for number, architecture in networks)

    def tokens_left(self, count: int, seeds: Sequence[int]) -> int:
        """Trained tokens of what the journal lacks."""
        known = self.known()
        left = [judgement.kind for judgement in self.judgements(count, seeds) if judgement.key not in known]
        return sum(self.long.tokens if kind == STAND_ALONE else self.short.tokens for kind in left)

    def costs(self) -> dict[str, dict[str, int]]:
        """
        Tokens of each cheap score: trained and judged on for every network, and once for all of them, which is the
        warm-up and, since the weights come from the end of a search, all that the search trained.
        """
        short, asked = self.short.tokens, sum(batch["input_ids"].numel() for batch in self.job.held_out)
        warm_up = self.search.settings.warmup_steps * self.job.batches.tokens_per_batch
        once = warm_up + sum(int(record["cost"].get("tokens", 0)) for record in self.search_trials)
        supernet = {"once": once, "warm_up": warm_up, "seen_by_weights": self.biws.seen_tokens}
        return {
            INHERITED: {"trained": short, "judged": asked} | supernet,
            UNTRAINED: {"trained": 0, "judged": asked} | supernet,
            SCRATCH_SHORT: {"trained": short, "judged": asked, "once": 0},
        }

    def known(self) -> dict[tuple[str, int, int], dict[str, Any]]:
        try:
            return {(record["kind"], record["network"], record["seed"]): record for record in self.journal.records}
        except KeyError as error:
            raise JournalError(f"{self.journal.path} holds a line without {error}: restore it from a copy.") from error

    def run(self, count: int, seeds: Sequence[int], on_tokens: Callable[[int], object] = lambda n: None) -> list[dict]:
        """Makes what the journal lacks; returns the records of all judgements asked for."""
        known = self.known()
        asked = list(self.judgements(count, seeds))
        for judgement in asked:
            if judgement.key not in known:
                known[judgement.key] = self._judge(judgement, on_tokens)
                self.journal.append(known[judgement.key])
            elif known[judgement.key]["architecture"] != judgement.architecture.to_json():
                raise JournalError(
                    f"{self.journal.path} holds another network {judgement.number} than this study draws: it was "
                    "changed by hand or written by another version. Start again in a new --output-dir."
                )
        return [known[judgement.key] for judgement in asked]

    def _judge(self, judgement: Judgement, on_tokens: Callable[[int], object]) -> dict[str, Any]:
        """A network that cannot be trained is a trial with a reason."""
        number, proposal = len(self.journal.records), Proposal(judgement.architecture)
        try:
            with memory_errors():
                trial = Trial(number, proposal, judgement.seed, *self._scores(judgement, on_tokens))
        except (TrainingError, MemoryError) as error:
            reason = str(error) or "out of memory"
            trial = Trial(number, proposal, judgement.seed, status="failed", reason=reason)
        return trial.to_record() | {"kind": judgement.kind, "network": judgement.number}

    def _scores(self, judgement: Judgement, on_tokens: Callable[[int], object]) -> tuple[dict, dict]:
        architecture = judgement.architecture
        if judgement.kind == INHERITED:
            untrained = self.supernet_loss(architecture)
            scores, cost = self.biws.evaluate(judgement.number, architecture)
            self.biws.keep([], known=judgement.number + 1)
            on_tokens(self.short.tokens)
            return scores | {"loss before training": untrained}, cost
        step = self.job.batches.tokens_per_batch
        if judgement.kind == SCRATCH_SHORT:
            # A seed that no stand-alone training has: else a network would be compared with itself, grown up.
            return self.short.evaluate(architecture, derive(self.draw_seed, "short"), lambda: on_tokens(step))
        return self.long.evaluate(architecture, judgement.seed, lambda: on_tokens(step))

    def supernet_loss(self, architecture: Architecture) -> float:
        """Held-out loss with the supernet's weights as they are."""
        model = self.biws.supernet.model
        model.load_state_dict(self.biws.weights, strict=False)
        self.biws.supernet.activate(architecture)
        return evaluate(model, self.job.held_out, self.job.accelerator)
