"""Whether the scores of a search order its candidates, or only chance does."""

from collections.abc import Mapping
from typing import Any

from autobert_hf.records.run_folder import read_report
from autobert_hf.records.study import Study
from autobert_hf.searchers.methods.method import Method


def record_signal(method: Method, study: Study) -> Mapping[str, Any]:
    """
    The search's `report/signal.json`: the number of `trials`, the `spread` of their main scores, the `noise` (standard
    error of one score over the choice of held-out rows; None if unknown) and a `warning`, empty if there is none. The
    warning says which setting to raise if the main scores are all above the goal's floor, or if their spread is below
    twice the noise.
    """
    path, noise = method.run.path / "report" / "signal.json", None
    if read_report(path).get("trials") != len(study.trials):
        if method.run.team.is_main and method.evaluator is not None:
            noise = method.evaluator.noise(study.best)
        method.run.record("signal", signal(study, noise, method.longer_training))
    method.run.team.wait()
    return read_report(path)


def signal(study: Study, noise: float | None, longer_training: str) -> dict[str, Any]:
    main = study.goals.main
    scores = [trial.scores[main.name] for trial in study.trials if trial.ok]
    spread, best, warning = max(scores) - min(scores), min(scores), ""
    if main.floor is not None and best >= main.floor:
        warning = (
            f"No candidate has learned to use context: the lowest {main.label} of {len(scores)} candidates is "
            f"{best:.3f}, and {main.floor:.3f} takes no context (the floor). Their order means nothing. "
            f"Train longer ({longer_training}), or on shorter rows (--length) or a smaller vocabulary (--vocab-size)."
        )
    elif noise is not None and len(scores) > 1 and spread < 2 * noise:
        warning = (
            f"The scores of {len(scores)} candidates differ by at most {spread:.2g}, the score of one candidate by "
            f"{noise:.2g} (standard error) with the choice of held-out rows. The order of the candidates means "
            f"nothing. Score them on more rows (--held-out-rows), or train longer ({longer_training})."
        )
    return {"trials": len(study.trials), "spread": spread, "noise": noise, "warning": warning}
