"""The model of confidence, fitted again to labelled questions."""

import json
import random
from pathlib import Path

import pytest

from database.searching.confidence import ConfidenceFeatures, ConfidenceModel
from utils.errors import DocsQAError
from utils.evaluation.calibrate import fit, main, summary


def evidence(count: int, said: float, seed: int) -> list[ConfidenceFeatures]:
    """Evidence that lies around a share of the question said."""
    draw = random.Random(seed)
    return [
        ConfidenceFeatures(said + draw.uniform(-0.2, 0.2), draw.uniform(0, 4), draw.uniform(1, 3))
        for _ in range(count)
    ]


def test_what_tells_the_two_sorts_apart_gets_the_weight() -> None:
    found = evidence(60, 0.7, 1) + evidence(40, 0.3, 2)

    model, unseen = fit(found, [True] * 60 + [False] * 40, 0.95)

    assert model.coverage > 5
    assert abs(model.topicality) < 0.5
    assert abs(model.question_length) < 0.5
    assert unseen[:60].mean() > 0.8
    assert unseen[60:].mean() < 0.3


def test_threshold_lets_the_wanted_share_of_the_answerable_through() -> None:
    found = evidence(100, 0.6, 3) + evidence(50, 0.4, 4)

    model, _ = fit(found, [True] * 100 + [False] * 50, 0.9)

    answered = [model.confidence(each) >= model.threshold for each in found[:100]]
    assert 0.9 <= sum(answered) / 100 <= 0.92


def test_threshold_looks_at_the_first_questions_alone() -> None:
    easy, hard = evidence(50, 0.8, 5), evidence(50, 0.3, 6)
    none = evidence(30, 0.2, 7)

    model, _ = fit(easy + none + hard, [True] * 50 + [False] * 30 + [True] * 50, 1.0, first=80)

    lowest = min(model.confidence(each) for each in easy)
    assert model.threshold == pytest.approx(lowest)


def test_confidence_means_what_it_says() -> None:
    """Of the questions given a probability, that share is answerable."""
    draw = random.Random(8)
    found = evidence(400, 0.5, 9)
    labels = [draw.random() < max(0.05, min(0.95, each.coverage * 2 - 0.5)) for each in found]

    model, _ = fit(found, labels, 0.95)

    for low, high in ((0.2, 0.5), (0.5, 0.8)):
        chosen = [
            (each, label)
            for each, label in zip(found, labels, strict=True)
            if low <= model.confidence(each) < high
        ]
        said = sum(model.confidence(each) for each, _ in chosen) / len(chosen)
        true = sum(label for _, label in chosen) / len(chosen)
        assert said == pytest.approx(true, abs=0.12)


def test_too_few_questions_of_one_sort_are_refused() -> None:
    with pytest.raises(DocsQAError, match="At least 10"):
        fit(evidence(30, 0.5, 1), [True] * 27 + [False] * 3, 0.95)


def test_model_is_written_where_the_service_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "confidence.json"
    model = ConfidenceModel(
        coverage=1.23456, topicality=0.5, question_length=2.0, intercept=-3.0, threshold=0.6
    )

    model.save(path)

    assert ConfidenceModel(**json.loads(path.read_text())).coverage == 1.2346


def test_summary_tells_shares_of_both_sorts() -> None:
    found = evidence(60, 0.8, 1) + evidence(40, 0.2, 2)
    labels = [True] * 60 + [False] * 40
    model, unseen = fit(found, labels, 0.95)

    said = summary(model, unseen, labels)

    assert "of 60 answerable" in said
    assert "of 40 unanswerable" in said


def test_missing_questions_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.json"
    arguments = ["-q", str(tmp_path / "none.jsonl"), "-db", str(tmp_path / "index")]

    assert main([*arguments, "--output", str(output)]) == 1

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "none.jsonl" in said
    assert not output.exists()


def test_each_file_of_questions_wants_an_index(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["-q", "a.jsonl", "-q", "b.jsonl", "-db", "index"])

    assert "name an index" in capsys.readouterr().err
