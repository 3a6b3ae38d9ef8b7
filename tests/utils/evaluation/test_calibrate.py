"""Fitting the confidence model to labelled questions."""

import json
import random
from pathlib import Path

import pytest

from database.searching.confidence import ConfidenceFeatures, ConfidenceModel
from utils.errors import DocsQAError
from utils.evaluation.calibrate import fit, main, summary


def features(count: int, term_coverage: float, seed: int) -> list[ConfidenceFeatures]:
    """Features whose term_coverage is uniformly distributed around the given one."""
    draw = random.Random(seed)
    return [
        ConfidenceFeatures(
            term_coverage + draw.uniform(-0.2, 0.2),
            draw.uniform(0, 4),
            draw.uniform(1, 3),
            draw.uniform(2, 8),
        )
        for _ in range(count)
    ]


def test_discriminating_feature_gets_the_weight() -> None:
    found = features(60, 0.7, 1) + features(40, 0.3, 2)

    model, unseen = fit(found, [True] * 60 + [False] * 40, 0.95)

    assert model.term_coverage > 5
    assert abs(model.topicality) < 0.5
    assert abs(model.question_length) < 0.5
    assert abs(model.cosine_z_score) < 0.5
    assert unseen[:60].mean() > 0.8
    assert unseen[60:].mean() < 0.3


def test_threshold_admits_the_requested_share_of_answerable_questions() -> None:
    found = features(100, 0.6, 3) + features(50, 0.4, 4)

    model, _ = fit(found, [True] * 100 + [False] * 50, 0.9)

    answered = [model.confidence(each) >= model.threshold for each in found[:100]]
    assert 0.9 <= sum(answered) / 100 <= 0.92


def test_threshold_depends_on_the_first_questions_only() -> None:
    easy, hard = features(50, 0.8, 5), features(50, 0.3, 6)
    none = features(30, 0.2, 7)

    model, _ = fit(easy + none + hard, [True] * 50 + [False] * 30 + [True] * 50, 1.0, first=80)

    lowest = min(model.confidence(each) for each in easy)
    assert model.threshold == pytest.approx(lowest)


def test_confidence_is_calibrated() -> None:
    """Of the questions with a given confidence, that share is answerable."""
    draw = random.Random(8)
    found = features(400, 0.5, 9)
    labels = [draw.random() < max(0.05, min(0.95, each.term_coverage * 2 - 0.5)) for each in found]

    model, _ = fit(found, labels, 0.95)

    for low, high in ((0.2, 0.5), (0.5, 0.8)):
        chosen = [
            (each, label)
            for each, label in zip(found, labels, strict=True)
            if low <= model.confidence(each) < high
        ]
        predicted = sum(model.confidence(each) for each, _ in chosen) / len(chosen)
        true = sum(label for _, label in chosen) / len(chosen)
        assert predicted == pytest.approx(true, abs=0.12)


def test_too_few_questions_of_one_label_are_refused() -> None:
    with pytest.raises(DocsQAError, match="At least 10"):
        fit(features(30, 0.5, 1), [True] * 27 + [False] * 3, 0.95)


def test_model_is_saved_rounded(tmp_path: Path) -> None:
    path = tmp_path / "confidence.json"
    model = ConfidenceModel(
        term_coverage=1.23456,
        topicality=0.5,
        question_length=2.0,
        cosine_z_score=0.3,
        intercept=-3.0,
        threshold=0.6,
        call_threshold=0.2,
    )

    model.save(path)

    assert ConfidenceModel(**json.loads(path.read_text())).term_coverage == 1.2346


def test_summary_counts_answerable_and_unanswerable_questions() -> None:
    found = features(60, 0.8, 1) + features(40, 0.2, 2)
    labels = [True] * 60 + [False] * 40
    model, unseen = fit(found, labels, 0.95)

    text = summary(model, unseen, labels)

    assert "of 60 answerable" in text
    assert "of 40 unanswerable" in text


def test_missing_questions_are_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.json"
    arguments = ["-q", str(tmp_path / "none.jsonl"), "-db", str(tmp_path / "index")]

    assert main([*arguments, "--output", str(output)]) == 1

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "none.jsonl" in message
    assert not output.exists()


def test_each_questions_file_needs_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["-q", "a.jsonl", "-q", "b.jsonl", "-db", "index"])

    assert "name an index" in capsys.readouterr().err
