"""The metrics against values computed by hand."""

import math

import pytest

from tests.utils.evaluation.fixed_reader import UNANSWERABLE, outcome, question
from utils.evaluation.metrics import summaries


def test_documents_are_ranked_by_their_first_passage() -> None:
    # Gold documents a and b: a is ranked third, b is not found.
    found = outcome(question(gold=["a.md", "b.md"]), "x.md", "y.md", "x.md", "y.md", "a.md", "a.md")
    lost = outcome(question("lost"), *(f"x{at}.md" for at in range(10)), "a.md")
    empty = outcome(question("empty"))

    values = summaries([found, lost, empty])["all"]

    # The gain of rank 3 is 1 / log2(4), the best possible 1 / log2(2) + 1 / log2(3).
    ndcg = (1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert found.documents == ("x.md", "y.md", "a.md")
    assert values["hit@1"] == 0
    assert values["hit@5"] == pytest.approx(1 / 3)
    assert values["hit@10"] == pytest.approx(1 / 3)
    assert values["nDCG@10"] == pytest.approx(ndcg / 3)
    assert values["MRR@10"] == pytest.approx(1 / 9)


def test_unanswerable_questions_do_not_count_as_misses() -> None:
    groups = summaries([outcome(question(), "a.md"), outcome(UNANSWERABLE, "a.md")])

    assert groups["all"]["hit@5"] == 1
    assert groups["unanswerable"]["hit@5"] is None
    assert groups["unanswerable"]["AUROC"] is None
    assert list(groups) == ["all", "written", "unanswerable"]
    assert [values["questions"] for values in groups.values()] == [2, 1, 1]


def test_facts_are_counted_over_all_questions_ignoring_markup() -> None:
    texts = ["Set `Kms\nKeyId` to", "the **key's** ARN", "", "late fact"]
    two = question("two", facts=["kmskeyid TO the key's arn", "late fact"])
    one = question("one", facts=["never said"])
    outcomes = [
        outcome(two, "a.md", "a.md", "b.md", "c.md", texts=texts),
        outcome(one, "a.md", texts=["said"]),
    ]

    values = summaries(outcomes)["all"]

    # Three facts: the first spans two passages, the second is in the fourth.
    assert values["facts@3"] == pytest.approx(1 / 3)
    assert values["facts@5"] == pytest.approx(2 / 3)
    first, second = map(len, texts[:2])
    assert values["characters@3"] == (first + second + len("said")) / 2
    assert values["characters@3, most"] == first + second
    assert values["characters@5, most"] == first + second + len("late fact")


def test_answer_decision_is_rated_by_answerability() -> None:
    outcomes = [
        outcome(question("a"), "a.md", confidence=0.9),
        outcome(question("b"), "a.md", confidence=0.4),
        outcome(question("c"), "a.md", confidence=0.8),
        outcome(UNANSWERABLE, "a.md", confidence=0.6),
        outcome(UNANSWERABLE, "a.md", confidence=0.3),
    ]

    values = summaries(outcomes)["all"]

    assert values["answerable answered"] == pytest.approx(2 / 3)
    assert values["unanswerable refused"] == pytest.approx(1 / 2)
    # Of the 6 pairs one is in the wrong order: 0.4 below 0.6.
    assert values["AUROC"] == pytest.approx(5 / 6)
    assert values["Brier"] == pytest.approx((0.01 + 0.36 + 0.04 + 0.36 + 0.09) / 5)


def test_latency_is_reported_in_percentiles() -> None:
    outcomes = [outcome(question(str(ms)), "a.md", milliseconds=ms) for ms in range(1, 102)]

    values = summaries(outcomes)["all"]

    assert values["p50 ms"] == pytest.approx(51)
    assert values["p95 ms"] == pytest.approx(96)
