"""Confidence that the documentation answers a question, from the best passages."""

from collections.abc import Mapping, Sequence
from math import log1p
from pathlib import Path

import pytest

from database.searching.confidence import (
    MAX_TEXTS,
    MODEL_FILE,
    ConfidenceFeatures,
    ConfidenceModel,
    extract_features,
    names_in,
    shipped_model,
)
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.terms import terms, words
from dataset.chunks import Chunk
from tests.files.pages import chunk

MODEL = ConfidenceModel(
    term_coverage=6.0,
    topicality=0.5,
    question_length=1.0,
    cosine_z_score=0.5,
    intercept=-4.0,
    threshold=0.5,
    call_threshold=0.2,
)
ANSWER = chunk("In the kiln oak dries.", title="Page")
UNRELATED = chunk("Stoves glow red today.", title="Page")


def evidence(
    question: str,
    best: Sequence[Chunk],
    others: Sequence[Chunk] = (),
    *,
    related: Mapping[str, Mapping[str, float]] | None = None,
) -> ConfidenceFeatures:
    """The features of a question over the best chunks, in an index of these and others."""
    near = {term: (related or {}).get(term, {}) for term in terms(question)}
    query = Query(near, names_in(words(question)))
    texts = [each.text_to_embed for each in best]
    return extract_features(query, texts, LexicalIndex([*best, *others]), 2.5)


def term_coverage(question: str, *texts: str, title: str = "Page") -> float:
    """The term_coverage of a question by the best of the texts."""
    return evidence(question, [chunk(text, title=title) for text in texts]).term_coverage


def test_passage_with_all_terms_has_full_coverage() -> None:
    assert term_coverage("hot oak kiln", "Stoves glow.\nIn a hot kiln the oak dries.") == 1.0
    assert term_coverage("hot oak kiln", "The kiln dries. Wood of oak dries. It is hot.") == 1.0


def test_row_of_a_table_is_covered_with_its_header() -> None:
    sheet = "| Service | Owner |\n| --- | --- |\n| Elm cache | Team Yew |"
    assert term_coverage("who is the owner of the elm cache", sheet) == 1.0


def test_terms_spread_over_passages_give_less_coverage() -> None:
    spread = term_coverage("hot oak kiln", "The kiln dries wood.", "Wood of oak is hot today.")
    assert 0 < spread < 1


def test_repeated_term_counts_once() -> None:
    assert term_coverage("oak kiln", "In a hot kiln oak dries. Oak stays in the kiln.") == 1.0
    near = {"annot": {stem: 0.6 - n / 10 for n, stem in enumerate(("worker", "elf", "gnome"))}}
    best = [chunk("Worker, elf, gnome.")]
    assert evidence("annotator", best, related=near).term_coverage == 0.6
    best = [chunk("Worker, elf, gnome and annotators.")]
    assert evidence("annotator", best, related=near).term_coverage == 1.0


def test_rare_terms_weigh_more() -> None:
    common = [chunk("Kilns glow red.", document=f"{n}.md") for n in range(99)]
    rare = evidence("kiln yew", [chunk("Felled yew dries.")], common).term_coverage
    frequent = evidence("kiln yew", [chunk("Large kilns glow.")], common).term_coverage
    assert rare > 2 * frequent > 0


def test_terms_in_title_or_headings_count() -> None:
    assert term_coverage("oak kiln", "Then oak dries slowly.", title="Kiln") == 1.0
    assert term_coverage("oak kiln", "Stoves glow red today.", title="Kiln oak") == 1.0


def test_related_word_counts_by_its_weight() -> None:
    best = [chunk("The worker labels logs.")]
    asked = {"annot": {"worker": 0.6}}
    assert evidence("annotator", best, related=asked).term_coverage == pytest.approx(0.6)
    assert evidence("annotator", best).term_coverage == 0.0


def test_only_the_first_passages_are_evidence() -> None:
    silent = [UNRELATED] * (MAX_TEXTS - 1)
    assert evidence("oak kiln", [*silent, ANSWER]).term_coverage == 1.0
    assert evidence("oak kiln", [UNRELATED, *silent, ANSWER]).term_coverage == 0.0


def test_topicality_counts_pages_about_the_rarest_name() -> None:
    others = [chunk("Glow.", document=f"{n}.md", headings=("The Kiln",)) for n in range(3)]
    others.append(chunk("Glow.", document="9.md", title="Yew"))
    best = [chunk("Ash burns.", document="best.md", title="Page")]
    assert evidence("does a Kiln burn", best, others).topicality == log1p(3)
    assert evidence("does a Kiln burn Yew", best, others).topicality == log1p(1)
    assert evidence("does a Kiln burn Elm", best, others).topicality == 0.0
    assert evidence("does a KilnYew burn", best, others).topicality == log1p(1)


def test_question_without_names_has_the_default_topicality() -> None:
    best = [chunk("Ash burns.")]
    assert evidence("does ash burn", best).topicality == 4.0
    assert evidence("does ash burn", best).question_length == log1p(2)


@pytest.mark.parametrize("question", ["", "what is it about?"])
def test_question_without_terms_has_no_evidence(question: str) -> None:
    assert evidence(question, [chunk("Ash burns in stoves.")]) == ConfidenceFeatures(
        0.0, 4.0, 0.0, 2.5
    )


def test_no_chunks_give_no_coverage() -> None:
    assert extract_features(Query({"ash": {}}), [], LexicalIndex([]), 0.0).term_coverage == 0.0


def test_confidence_rises_with_coverage_and_cosine() -> None:
    for model in (MODEL, shipped_model()):
        for coverage, z_score in ((0.1, 0.0), (0.0, 0.5)):
            rising = [
                model.confidence(ConfidenceFeatures(n * coverage, 2.0, 1.5, n * z_score))
                for n in range(11)
            ]
            assert rising == sorted(set(rising))
            assert 0 < rising[0] < rising[-1] < 1


def test_confidence_is_the_logistic_of_the_weighted_features() -> None:
    assert MODEL.confidence(ConfidenceFeatures(0.5, 0.0, 1.0, 0.0)) == 0.5
    assert MODEL.confidence(ConfidenceFeatures(0.5, 2.0, 1.0, 0.0)) == pytest.approx(0.7310586)
    assert MODEL.confidence(ConfidenceFeatures(0.5, 0.0, 0.0, 0.0)) == pytest.approx(0.2689414)
    assert MODEL.confidence(ConfidenceFeatures(0.5, 0.0, 0.0, 2.0)) == 0.5


def test_shipped_model_separates_answerable_from_unanswerable() -> None:
    model = shipped_model()
    assert 0 < model.threshold < 1
    assert model.confidence(ConfidenceFeatures(1.0, 4.0, 2.0, 6.0)) > model.threshold
    assert model.confidence(ConfidenceFeatures(0.0, 0.0, 2.0, 2.0)) < model.threshold


def test_saved_model_equals_the_shipped_file(tmp_path: Path) -> None:
    copy = tmp_path / "confidence.json"
    shipped_model().save(copy)
    assert copy.read_text() == MODEL_FILE.read_text()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which kiln dries Oak or ELM?", ("Oak", "ELM")),
        ("Kilns of oak", ()),
        ("KilnConfig of oak", ("KilnConfig",)),
        ("is p3 better than kiln_7 in 2023", ("p3", "kiln_7")),
        ("is 4xl better than 4", ("4xl",)),
        ("how do I ask Amazon or AWS The What", ()),
        ("", ()),
    ],
)
def test_names_have_letters_and_a_capital_inside_the_question_or_a_digit(
    question: str, expected: tuple[str, ...]
) -> None:
    assert names_in(words(question)) == expected


def test_a_question_that_is_only_a_name_counts_as_two_terms() -> None:
    by_name, by_two = (evidence(text, [ANSWER]).question_length for text in ("oak", "oak kiln"))
    assert by_name == by_two == log1p(2)
