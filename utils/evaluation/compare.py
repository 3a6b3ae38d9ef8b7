"""Two configurations side by side: which of their differences are real.

The interval of a difference is a paired bootstrap's (Efron and Tibshirani, An Introduction to the
Bootstrap, chapter 13): the questions are drawn anew with replacement, both configurations are
judged on the same draw, and the middle 95% of the differences is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.evaluation.metrics import (
    AUROC,
    LESS_IS_BETTER,
    P50,
    P95,
    Share,
    Values,
    shares,
    summaries,
)
from utils.evaluation.runs import QuestionOutcome

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RESAMPLES = 10_000
_SEED = 20_240_229
_NOTHING = 1e-12
"""Smaller differences are the rounding's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How one metric differs between the baseline and another configuration."""

    metric: str
    baseline: float
    other: float
    low: float | None
    """Where the difference's 95% interval begins and ends; None where none is computed."""
    high: float | None

    @property
    def change(self) -> float:
        """How much more the other has."""
        return self.other - self.baseline

    @property
    def real(self) -> bool:
        """Whether the interval leaves out 0."""
        if self.low is None or self.high is None:
            return False
        return self.low > _NOTHING or self.high < -_NOTHING

    @property
    def verdict(self) -> str:
        """What the difference means, in a word or two."""
        if not self.real:
            return ""
        if self.metric.startswith("characters"):
            return "real"  # longer is neither better nor worse in itself
        better = (self.change > 0) != (self.metric in LESS_IS_BETTER)
        return "real, better" if better else "real, worse"


def compare_runs(
    baseline: Sequence[QuestionOutcome], other: Sequence[QuestionOutcome]
) -> list[Difference]:
    """Hold two configurations' outcomes on the same questions, in the same order, together."""
    weights = _draws(len(baseline))
    values = [summaries(outcomes)["all"] for outcomes in (baseline, other)]
    ours, theirs = shares(baseline), shares(other)
    differences = []
    for metric, share in ours.items():
        resampled = _resampled(theirs[metric], weights) - _resampled(share, weights)
        differences += _difference(metric, values, resampled)
    resampled = _resampled_auroc(other, weights) - _resampled_auroc(baseline, weights)
    differences += _difference(AUROC, values, resampled)
    # Drawing questions anew says nothing of what else the machine did meanwhile: no interval.
    for metric in (P50, P95):
        differences += _difference(metric, values, None)
    return differences


def _difference(
    metric: str, values: Sequence[Values], resampled: "Floats | None"
) -> list[Difference]:
    """The difference; none where the questions are not of the sort the metric is about."""
    import numpy as np

    baseline, other = (each[metric] for each in values)
    if baseline is None or other is None:
        return []
    low = high = None
    if resampled is not None:
        # A draw may hold no question of the sort.
        low, high = (float(end) for end in np.nanpercentile(resampled, (2.5, 97.5)))
    return [Difference(metric, baseline, other, low, high)]


def _draws(questions: int) -> "Floats":
    """How often each question was drawn: a row for each draw of as many as there are."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    even = np.full(questions, 1 / questions)
    return random.multinomial(questions, even, size=RESAMPLES).astype(float)


def _resampled(share: Share, weights: "Floats") -> "Floats":
    return _divided(weights @ share.part, weights @ share.whole)


def _resampled_auroc(outcomes: Sequence[QuestionOutcome], weights: "Floats") -> "Floats":
    """AUROC of each draw: of the pairs of answerable and not, the share in the right order.

    The same that scikit-learn computes for one draw, which is too slow for all of them.
    """
    import numpy as np

    answerable = np.array([outcome.question.answerable for outcome in outcomes])
    confidence = np.array([outcome.confidence for outcome in outcomes])
    ahead = confidence[answerable][:, None] - confidence[~answerable][None, :]
    right = (np.sign(ahead) + 1) / 2
    positive, negative = weights[:, answerable], weights[:, ~answerable]
    return _divided(
        ((positive @ right) * negative).sum(axis=1),
        positive.sum(axis=1) * negative.sum(axis=1),
    )


def _divided(part: "Floats", whole: "Floats") -> "Floats":
    """The quotients; not a number where nothing was drawn that counts."""
    import numpy as np

    quotients: Floats = np.full_like(part, np.nan)
    np.divide(part, whole, out=quotients, where=whole > 0)
    return quotients
