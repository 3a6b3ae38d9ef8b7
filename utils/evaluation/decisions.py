"""Whether confidence can be trusted: the risk of answering, and how honest the probability is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from utils.evaluation.runs import QuestionOutcome

NEAR = 5
"""A question is found when a right document is among the first so many."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens when questions from some confidence upwards are answered."""

    confidence: float
    coverage: float
    """The share of all questions that is answered."""
    risk: float
    """The share of those answered that goes wrong."""


def goes_wrong(outcome: QuestionOutcome) -> bool:
    """Whether answering misleads: no right document is near, as with what nothing answers."""
    return not outcome.found_within(NEAR)


def risk_coverage(outcomes: Sequence[QuestionOutcome]) -> list[Decision]:
    """The curve from the strictest threshold to answering everything."""
    surest = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    curve, wrong = [], 0
    for at, outcome in enumerate(surest, start=1):
        wrong += goes_wrong(outcome)
        # No threshold parts questions of one confidence.
        if at == len(surest) or surest[at].confidence < outcome.confidence:
            curve.append(Decision(outcome.confidence, at / len(surest), wrong / at))
    return curve


def shipped_decision(outcomes: Sequence[QuestionOutcome]) -> Decision | None:
    """Where on that curve the shipped threshold lies; None where it answers nothing."""
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
    """Questions of about the same confidence."""

    questions: int
    confidence: float
    """Their mean."""
    answerable: float
    """The share of them that is answerable: equal to the confidence where that is honest."""


def reliability(outcomes: Sequence[QuestionOutcome], bins: int = 6) -> list[Bin]:
    """The questions in bins of equal size, from the least sure on."""
    import numpy as np

    rising = sorted(outcomes, key=lambda outcome: outcome.confidence)
    edges = np.linspace(0, len(rising), min(bins, len(rising)) + 1).astype(int)
    return [_bin(rising[start:end]) for start, end in pairwise(edges)]


def _bin(members: Sequence[QuestionOutcome]) -> Bin:
    return Bin(
        len(members),
        sum(outcome.confidence for outcome in members) / len(members),
        sum(outcome.question.answerable for outcome in members) / len(members),
    )
