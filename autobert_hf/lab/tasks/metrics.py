"""
Metrics of proxy tasks as `evaluate.Metric` classes: `evaluate.load` would fetch and run scripts from the Hub. All
values are fractions, not percentages.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef


Values = dict[str, float]

# The metrics available for each kind of task.
METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1", "matthews_correlation"),
    "regression": ("pearson", "spearman"),
    "question answering": ("exact_match", "f1"),
}


class OwnMetric(evaluate.Metric):
    """Keeps its data in memory, so that processes do not share a cache folder."""

    predictions: Any
    references: Any

    def __init__(self) -> None:
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({"predictions": self.predictions, "references": self.references})
        return evaluate.MetricInfo(description=type(self).__doc__ or "", citation="", features=features)


class Classification(OwnMetric):
    """Accuracy, F1 (of label 1 for two labels, else the mean over all labels), Matthews' correlation."""

    predictions = references = datasets.Value("int64")

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> Values:
        average = "binary" if max(*predictions, *references) < 2 else "macro"
        return {
            "accuracy": float(accuracy_score(references, predictions)),
            "f1": float(f1_score(references, predictions, average=average, zero_division=0.0)),
            "matthews_correlation": float(matthews_corrcoef(references, predictions)),
        }


class Regression(OwnMetric):
    """Pearson's and Spearman's correlation; 0 if all predictions are the same."""

    predictions = references = datasets.Value("float64")

    def _compute(self, predictions: Sequence[float], references: Sequence[float]) -> Values:
        if np.ptp(predictions) == 0:
            return {"pearson": 0.0, "spearman": 0.0}
        return {
            "pearson": float(pearsonr(predictions, references).statistic),
            "spearman": float(spearmanr(predictions, references).statistic),
        }


class QuestionAnswering(OwnMetric):
    """
    SQuAD's exact match and F1 of words against the best of the given answers. For a question without
    answers, only the empty text is correct (SQuAD 2.0), so one metric serves both versions.
    """

    predictions = datasets.Value("string")
    references = datasets.List(datasets.Value("string"))

    def _compute(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Values:
        pairs = list(zip(predictions, references, strict=True))
        return {"exact_match": _mean(exact_match, pairs), "f1": _mean(word_f1, pairs)}


def _mean(judge: Callable[[str, str], float], pairs: Sequence[tuple[str, Sequence[str]]]) -> float:
    return sum(max(judge(said, truth) for truth in truths or [""]) for said, truths in pairs) / len(pairs)


def normalized(answer: str) -> str:
    """Lower case, without ASCII punctuation, without the words a, an, the, with single spaces; in this order."""
    kept = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def exact_match(said: str, truth: str) -> float:
    return float(normalized(said) == normalized(truth))


def word_f1(said: str, truth: str) -> float:
    """Harmonic mean of precision and recall of words, with repetition; empty matches only empty (SQuAD 2.0)."""
    ours, theirs = normalized(said).split(), normalized(truth).split()
    if not ours or not theirs:
        return float(ours == theirs)
    common = (Counter(ours) & Counter(theirs)).total()
    return 2 * common / (len(ours) + len(theirs))


COMPUTERS: dict[str, type[OwnMetric]] = {
    "classification": Classification,
    "regression": Regression,
    "question answering": QuestionAnswering,
}


def score(kind: str, names: Sequence[str], predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """The mean of the named metrics."""
    values = COMPUTERS[kind]().compute(predictions=predictions, references=references)
    return sum(values[name] for name in names) / len(names)
