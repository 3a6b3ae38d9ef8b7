"""The questions that went wrong, each with the documents found instead."""

from collections.abc import Callable, Sequence

from utils.evaluation.decisions import NEAR
from utils.evaluation.runs import FoundPassage, QuestionOutcome

_SHOWN = 3
"""The number of found documents to list."""


def list_misses(outcomes: Sequence[QuestionOutcome], limit: int) -> str:
    """Questions not found, wrongly answered and wrongly refused; at most `limit` of each."""
    answerable = [outcome for outcome in outcomes if outcome.question.answerable]
    others = [outcome for outcome in outcomes if not outcome.question.answerable]
    missed = [outcome for outcome in answerable if not outcome.found_within(NEAR)]
    answered = [outcome for outcome in others if outcome.answered]
    refused = [outcome for outcome in answerable if not outcome.answered]
    # The worst first.
    answered.sort(key=lambda outcome: -outcome.confidence)
    refused.sort(key=lambda outcome: outcome.confidence)
    parts = (
        (f"No right document among the first {NEAR}", missed, len(answerable), _with_gold),
        ("Answered although unanswerable", answered, len(others), _with_found),
        ("Refused although answerable", refused, len(answerable), _with_gold),
    )
    return "\n\n".join(_part(*part, limit) for part in parts)


def _part(
    title: str,
    outcomes: Sequence[QuestionOutcome],
    total: int,
    described: Callable[[QuestionOutcome], str],
    limit: int,
) -> str:
    left_out = f", {limit} shown" if len(outcomes) > limit else ""
    heading = f"{title}: {len(outcomes)} of {total}{left_out}"
    return "\n\n".join([heading, *(described(outcome) for outcome in outcomes[:limit])])


def _with_gold(outcome: QuestionOutcome) -> str:
    """A question with the ranks of its right documents, and the found documents."""
    ranks = {name: at for at, name in enumerate(outcome.documents, start=1)}
    gold = ", ".join(
        f"{name} ({f'place {ranks[name]}' if name in ranks else 'not found'})"
        for name in outcome.question.gold_docs
    )
    return "\n".join([_question(outcome), f"    right: {gold}", *_found(outcome)])


def _with_found(outcome: QuestionOutcome) -> str:
    return "\n".join([_question(outcome), *_found(outcome)])


def _question(outcome: QuestionOutcome) -> str:
    question = outcome.question
    decision = "answered" if outcome.answered else "refused"
    said = " ".join(question.question.split())
    return (
        f"  {question.id} ({question.kind}; confidence {outcome.confidence:.2f}, {decision})\n"
        f"    {said}"
    )


def _found(outcome: QuestionOutcome) -> list[str]:
    """The first documents found, with the heading and score of their best passage."""
    best: dict[str, FoundPassage] = {}
    for found in outcome.found:
        best.setdefault(found.document, found)
    if not best:
        return ["    found: nothing"]
    return [
        f"    found: {found.score:.3f} {found.document} - {found.breadcrumb}"
        for found in list(best.values())[:_SHOWN]
    ]
