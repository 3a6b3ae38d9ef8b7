"""Parsing of configurations, and confidence intervals of known differences."""

import math
import random
from collections.abc import Sequence

import pytest
from sklearn.metrics import roc_auc_score

from tests.utils.evaluation.fixed_reader import UNANSWERABLE, outcome, question
from utils.errors import DocsQAError
from utils.evaluation.compare import Difference, compare_runs
from utils.evaluation.configurations import Configuration, check_labels, parse_configuration
from utils.evaluation.runs import QuestionOutcome


def answers(
    found: Sequence[bool], confidence: Sequence[float] | None = None
) -> list[QuestionOutcome]:
    """A run over so many answerable questions and a fifth as many unanswerable ones."""
    sure = confidence or [0.9] * len(found)
    outcomes = [
        outcome(question(str(at), facts=["fact"]), "a.md" if hit else "x.md", confidence=sure[at])
        for at, hit in enumerate(found)
    ]
    unsure = random.Random(7)
    outcomes += [outcome(UNANSWERABLE, confidence=unsure.random()) for _ in range(len(found) // 5)]
    return outcomes


def by_metric(differences: Sequence[Difference]) -> dict[str, Difference]:
    return {each.metric: each for each in differences}


def interval(difference: Difference) -> tuple[float, float]:
    assert difference.low is not None
    assert difference.high is not None
    return difference.low, difference.high


def test_identical_configurations_do_not_differ() -> None:
    outcomes = answers([at % 3 > 0 for at in range(60)])

    differences = compare_runs(outcomes, outcomes)

    assert {"hit@5", "nDCG@10", "facts@8", "AUROC", "characters@8"} <= set(by_metric(differences))
    assert all(each.change == 0 and not each.real for each in differences)


def test_equal_gains_and_losses_are_not_significant() -> None:
    one = answers([at % 2 == 0 for at in range(60)])
    other = answers([at % 2 == 1 for at in range(60)])

    hit = by_metric(compare_runs(one, other))["hit@5"]

    assert hit.change == 0
    low, high = interval(hit)
    assert low < 0 < high
    assert not hit.real


def test_clear_gain_and_clear_loss_are_significant() -> None:
    weak = answers([at % 2 == 0 for at in range(60)])
    strong = answers([at % 10 > 0 for at in range(60)])

    gain = by_metric(compare_runs(weak, strong))["hit@5"]
    loss = by_metric(compare_runs(strong, weak))["hit@5"]

    assert gain.change == pytest.approx(0.4)
    assert gain.verdict == "real, better"
    assert loss.verdict == "real, worse"
    # The normal approximation: questions gain 1, lose 1 or stay; 1.96 standard errors each way.
    gained = [(at % 10 > 0) - (at % 2 == 0) for at in range(60)]
    spread = math.sqrt(sum((each - 0.4) ** 2 for each in gained) / 60 / 60)
    ends = (0.4 - 1.96 * spread, 0.4 + 1.96 * spread)
    assert interval(gain) == pytest.approx(ends, abs=0.03)


def test_lower_is_better_for_error_metrics() -> None:
    honest = answers([True] * 60, [0.95] * 60)
    timid = answers([True] * 60, [0.5] * 60)

    assert by_metric(compare_runs(timid, honest))["Brier"].verdict == "real, better"


def test_resampled_auroc_equals_the_computed_one() -> None:
    chance = random.Random(3)
    unsure = answers([True] * 50, [chance.random() for _ in range(50)])
    sure = answers([True] * 50, [0.97 + chance.random() / 50 for _ in range(50)])

    difference = by_metric(compare_runs(unsure, sure))["AUROC"]

    for run, value in ((unsure, difference.baseline), (sure, difference.other)):
        truth = [each.question.answerable for each in run]
        confidence = [each.findings.confidence for each in run]
        assert value == pytest.approx(roc_auc_score(truth, confidence))
    assert difference.real
    low, high = interval(difference)
    assert low < difference.change < high


def test_auroc_interval_is_exact_for_perfect_separation() -> None:
    right, wrong = answers([True] * 50, [2.0] * 50), answers([True] * 50, [-1.0] * 50)

    difference = by_metric(compare_runs(wrong, right))["AUROC"]

    assert (difference.change, *interval(difference)) == (1, 1, 1)


def test_facts_are_resampled_as_a_ratio_of_sums() -> None:
    """A question with many facts weighs more, so the interval is wider than a question's mean."""
    many = question("many", facts=[f"fact{at}" for at in range(30)])
    few = [question(str(at), facts=["single"]) for at in range(10)]
    all_facts = " ".join(many.answer_facts)
    without = [outcome(many, "a.md"), *(outcome(each, "a.md") for each in few)]
    with_many = [outcome(many, "a.md", texts=[all_facts]), *without[1:]]

    facts = by_metric(compare_runs(without, with_many))["facts@8"]

    assert facts.change == pytest.approx(30 / 40)
    low, high = interval(facts)
    assert low == 0  # more than a third of the draws omit the one question
    assert high > 0.9  # some draws contain it four times: 120 of 127
    assert not facts.real


def test_latency_has_no_interval() -> None:
    outcomes = answers([True] * 5)

    assert by_metric(compare_runs(outcomes, outcomes))["p50 ms"].low is None


DEFAULTS: dict[str, int | float] = {"feedback": 0.5, "per_document": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shipped", Configuration("shipped")),
        ("now:shipped", Configuration("now")),
        ("feedback=0", Configuration("feedback=0", {"feedback": 0.0})),
        (
            "bare:feedback=.25,per_document=1",
            Configuration("bare", {"feedback": 0.25, "per_document": 1}),
        ),
        (
            "database=http://host:8000",
            Configuration("database=http://host:8000", {}, "http://host:8000"),
        ),
        ("mpnet:database=a/b,feedback=1", Configuration("mpnet", {"feedback": 1.0}, "a/b")),
    ],
)
def test_configuration_is_parsed(text: str, expected: Configuration) -> None:
    read = parse_configuration(text, DEFAULTS)

    assert read == expected
    assert [type(value) for value in read.ranking.values()] == [
        type(DEFAULTS[key]) for key in read.ranking
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feedbak=0", "no such key 'feedbak'; the keys are feedback, per_document, database"),
        ("feedback=much", "feedback must be a number"),
        ("feedback=nan", "feedback must be a number"),
        ("per_document=1.5", "per_document must be a whole number"),
        ("feedback", "neither key=value nor shipped"),
        ("feedback=", "neither key=value nor shipped"),
        ("feedback=0,", "neither key=value nor shipped"),
        ("feedback=0,feedback=1", "feedback is set twice"),
        (":feedback=0", "a label and its changes"),
        ("label:", "a label and its changes"),
    ],
)
def test_invalid_configuration_is_a_one_line_error(text: str, message: str) -> None:
    with pytest.raises(DocsQAError) as caught:
        parse_configuration(text, DEFAULTS)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_duplicate_configuration_labels_are_refused() -> None:
    with pytest.raises(DocsQAError, match="'a' twice"):
        check_labels([Configuration("a"), Configuration("b"), Configuration("a")])
