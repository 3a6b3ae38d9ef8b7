"""The quality of the confidence: risk and coverage, and reliability."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from utils.evaluation.runs import QuestionOutcome

NEAR = 5
"""A question counts as found if a right document is among the first so many."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The effect of answering every question from some confidence upwards."""

    confidence: float
    coverage: float
    """The share of all questions that are answered."""
    risk: float
    """The share of the answered questions without a right document near the top."""


def goes_wrong(outcome: QuestionOutcome) -> bool:
    """True if an answer would mislead: no right document among the first NEAR."""
    return not outcome.found_within(NEAR)


def risk_coverage(outcomes: Sequence[QuestionOutcome]) -> list[Decision]:
    """The curve from the strictest threshold down to answering everything."""
    surest = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    curve, wrong = [], 0
    for at, outcome in enumerate(surest, start=1):
        wrong += goes_wrong(outcome)
        # No threshold separates questions of equal confidence.
        if at == len(surest) or surest[at].confidence < outcome.confidence:
            curve.append(Decision(outcome.confidence, at / len(surest), wrong / at))
    return curve


def shipped_decision(outcomes: Sequence[QuestionOutcome]) -> Decision | None:
    """The point of the shipped threshold on that curve; None if it answers nothing."""
    answered = [outcome for outcome in outcomes if outcome.answered]
    if not answered:
        return None
    return Decision(
        min(outcome.confidence for outcome in answered),
        len(answered) / len(outcomes),
        sum(map(goes_wrong, answered)) / len(answered),
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of similar confidence."""

    questions: int
    confidence: float
    """Their mean."""
    answerable: float
    """The share of them that are answerable; calibrated if equal to the confidence."""


def reliability(outcomes: Sequence[QuestionOutcome], bins: int = 6) -> list[Bin]:
    """The questions in bins of equal size, by rising confidence."""
    import numpy as np

    rising = sorted(outcomes, key=lambda outcome: outcome.confidence)
    edges = np.linspace(0, len(rising), min(bins, len(rising)) + 1).astype(int)
    groups = [rising[start:end] for start, end in pairwise(edges)]
    return [
        Bin(
            len(group),
            sum(outcome.confidence for outcome in group) / len(group),
            sum(outcome.question.answerable for outcome in group) / len(group),
        )
        for group in groups
    ]
