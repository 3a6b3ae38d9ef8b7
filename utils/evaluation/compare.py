"""The 95% intervals of metrics, and of their differences between two configurations.

The intervals are those of a bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap,
chapter 13): the questions are resampled with replacement, and the middle 95% of the metric's values
is the interval. Two configurations are compared on the same resamples.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.evaluation.metrics import (
    AUROC,
    LESS_IS_BETTER,
    P50,
    P95,
    Share,
    area_under_roc,
    labels_and_confidences,
    shares,
    summaries,
)
from utils.evaluation.runs import QuestionOutcome

if TYPE_CHECKING:
    from utils.evaluation.metrics import Floats

Interval = tuple[float | None, float | None]
RESAMPLES = 10_000
_SEED = 20_240_229
_ROUNDING = 1e-12
"""Smaller differences are rounding errors."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of one metric between the baseline and another configuration."""

    metric: str
    baseline: float
    other: float
    low: float | None
    """The ends of the difference's 95% interval; None if there is none."""
    high: float | None

    @property
    def change(self) -> float:
        """The other's value minus the baseline's."""
        return self.other - self.baseline

    @property
    def real(self) -> bool:
        """True if the interval excludes 0."""
        if self.low is None or self.high is None:
            return False
        return self.low > _ROUNDING or self.high < -_ROUNDING

    @property
    def verdict(self) -> str:
        """The meaning of the difference, in a word or two."""
        if not self.real:
            return ""
        if self.metric.startswith("characters"):
            return "real"  # longer is neither better nor worse in itself
        better = (self.change > 0) != (self.metric in LESS_IS_BETTER)
        return "real, better" if better else "real, worse"


def intervals_of(outcomes: Sequence[QuestionOutcome]) -> dict[str, Interval]:
    """The interval of each metric of a run, except the latencies."""

    def ratio(part: "Floats", whole: "Floats", axis: int) -> "Floats":
        result: Floats = part.sum(axis) / whole.sum(axis)
        return result

    intervals = {
        metric: _interval(ratio, share.part[share.whole > 0], share.whole[share.whole > 0])
        for metric, share in shares(outcomes).items()
    }
    return intervals | {AUROC: _interval(area_under_roc, *labels_and_confidences(outcomes))}


def compare_runs(
    baseline: Sequence[QuestionOutcome], other: Sequence[QuestionOutcome]
) -> list[Difference]:
    """Compare two runs on the same questions in the same order, metric by metric.

    Leaves out metrics that do not apply to any of the questions.
    """
    before, after = shares(baseline), shares(other)
    values = [summaries(outcomes)["all"] for outcomes in (baseline, other)]
    differences = []
    for metric in (*before, AUROC, P50, P95):
        first, second = (each[metric] for each in values)
        if first is None or second is None:
            continue
        if metric in before:
            ends = _share_interval(before[metric], after[metric])
        elif metric == AUROC:
            ends = _auroc_interval(baseline, other)
        else:
            # Resampled questions do not reflect the other load of the machine.
            ends = None, None
        differences.append(Difference(metric, first, second, *ends))
    return differences


def _share_interval(before: Share, after: Share) -> Interval:
    def difference(part: "Floats", other: "Floats", whole: "Floats", axis: int) -> "Floats":
        result: Floats = (other.sum(axis) - part.sum(axis)) / whole.sum(axis)
        return result

    counted = before.whole > 0
    return _interval(difference, before.part[counted], after.part[counted], before.whole[counted])


def _auroc_interval(
    baseline: Sequence[QuestionOutcome], other: Sequence[QuestionOutcome]
) -> Interval:
    def difference(answerable: "Floats", one: "Floats", two: "Floats", axis: int) -> "Floats":
        return area_under_roc(answerable, two, axis) - area_under_roc(answerable, one, axis)

    answerable, before = labels_and_confidences(baseline)
    _, after = labels_and_confidences(other)
    return _interval(difference, answerable, before, after)


def _interval(statistic: "Callable[..., Floats]", *samples: "Floats") -> Interval:
    """The 95% interval of a statistic over questions; each sample has a value per question."""
    import numpy as np
    from scipy.stats import DegenerateDataWarning, bootstrap

    if len(samples[0]) < 2:
        return None, None
    with warnings.catch_warnings():
        # AUROC is NaN for a resample of one sort of question.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        resampled = bootstrap(
            samples,
            statistic,
            n_resamples=RESAMPLES,
            vectorized=True,
            paired=True,
            method="percentile",
            rng=_SEED,
        ).bootstrap_distribution
    low, high = np.nanpercentile(resampled, (2.5, 97.5))
    return float(low), float(high)
