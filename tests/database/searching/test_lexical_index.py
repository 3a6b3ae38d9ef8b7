"""The lexical index matches identifiers whole and by part, and scores with BM25."""

from collections.abc import Mapping
from math import log

import numpy as np
import pytest

from database.searching.fusion import Scores
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.terms import terms
from tests.files.pages import chunk

NAMES = {
    "CreateEndpointConfig": "create an endpoint, config",
    "ml.p3.2xlarge": "ml, p, 3, 2, xlarge",
    "sagemaker:InvokeEndpoint": "invoke the endpoint",
    "early_stopping_rounds": "early stopping in rounds",
}
"""Identifiers, each with a text that contains only its parts."""


def query(question: str, related: Mapping[str, Mapping[str, float]] | None = None) -> Query:
    return Query({term: (related or {}).get(term, {}) for term in terms(question)})


def scores(index: LexicalIndex, question: str, *, documents: float = 0.0) -> Scores:
    return index.scores(query(question), documents=documents)


def pages(*texts: str) -> LexicalIndex:
    """An index of documents with one chunk each."""
    return LexicalIndex([chunk(text, document=f"{n}.md", title="") for n, text in enumerate(texts)])


@pytest.mark.parametrize(("name", "apart"), NAMES.items())
def test_whole_identifier_ranks_above_its_parts(name: str, apart: str) -> None:
    index = pages(apart, f"Call `{name}` before the kiln is hot enough.", "Wood dries.")

    part, whole, other = scores(index, f"What is {name}?")

    assert whole > part > other == 0


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("config", "CreateEndpointConfig"),
        ("xlarge", "ml.p3.2xlarge"),
        ("p3", "ml.p3.2xlarge"),
        ("invoke", "sagemaker:InvokeEndpoint"),
        ("stopping", "early_stopping_rounds"),
    ],
)
def test_identifier_is_found_by_a_part_of_it(part: str, name: str) -> None:
    index = pages(f"Set `{name}` first.", "Wood dries in the sun.")
    found, other = scores(index, part)
    assert found > other == 0


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("EarlyStoppingRounds", "early_stopping_rounds"),
        ("early_stopping_rounds", "EarlyStoppingRounds"),
        ("createendpointconfig", "CreateEndpointConfig"),
    ],
)
def test_name_in_another_spelling_ranks_above_its_parts(asked: str, written: str) -> None:
    apart = "early stopping rounds, create endpoint config"
    index = pages(apart, f"Set `{written}` on the kiln that is meant to be hot, dry and clean.")
    part, found = scores(index, asked)
    assert found > part


def test_score_is_bm25_with_title_counted_three_times_and_headings_twice() -> None:
    index = LexicalIndex(
        [
            chunk("kiln kiln wood", document="a.md", title="Oak"),
            chunk("stove", document="b.md", title="Ash", headings=("Kiln",)),
            chunk("wood wood wood wood wood wood", document="c.md", title="Elm"),
        ]
    )  # terms: 6, 6 and 9, on average 7
    rarity = log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    twice = 2 / (2 + 0.9 * (0.25 + 0.75 * 6 / 7))
    once = 1 / (1 + 0.9 * (0.25 + 0.75 * 6 / 7))
    often = 6 / (6 + 0.9 * (0.25 + 0.75 * 9 / 7))
    title = log(1 + 2.5 / 1.5) * 3 / (3 + 0.9 * (0.25 + 0.75 * 6 / 7))

    assert scores(index, "kiln") == pytest.approx([rarity * twice, rarity * twice, 0])
    assert scores(index, "wood") == pytest.approx([rarity * once, 0, rarity * often])
    assert scores(index, "oak kiln")[0] == pytest.approx(title + rarity * twice)


def test_score_adds_weighted_document_scores() -> None:
    index = LexicalIndex(
        [
            chunk("wood", document="a.md", title="Oak"),
            chunk("wood wood", document="a.md", title="Oak", ordinal=1),
            chunk("stove", document="b.md", title="Ash"),
        ]
    )  # documents: 5 titles and the texts, 8 and 6 terms
    rarity = log(1 + 1.5 / 1.5)
    whole = rarity * 5 / (5 + 0.9 * (0.25 + 0.75 * 8 / 7))

    bare = scores(index, "oak")

    assert scores(index, "oak", documents=0.7) - bare == pytest.approx([0.7 * whole] * 2 + [0])


def test_rare_word_weighs_more_than_a_common_one() -> None:
    index = pages("Oak and stove.", "Ash and stove.", "Elm and stove.")
    assert index.rarity("oak") == pytest.approx(log(1 + 2.5 / 1.5))
    assert index.rarity("stove") == pytest.approx(log(1 + 0.5 / 3.5))
    assert index.rarity("oak") > index.rarity("stove") > 0
    assert scores(index, "oak stove")[0] > scores(index, "oak stove")[1] > 0


def test_unknown_word_is_the_rarest() -> None:
    index = pages("Oak.", "Oak.", "Ash.")
    assert index.rarity("yew") == pytest.approx(log(1 + 3.5 / 0.5))
    assert index.rarity("yew") > index.rarity("ash") > index.rarity("oak")


def test_markup_is_not_indexed() -> None:
    index = pages("See [the stove](kilnpage.md).")
    assert index.holders("stove") == 1
    assert index.holders("kilnpag") == 0


def test_document_and_heading_frequencies_are_counted() -> None:
    index = LexicalIndex(
        [
            chunk("ash", document="a.md", title="Oak", headings=("Elm",)),
            chunk("ash", document="a.md", title="Oak", headings=("Elm",), ordinal=1),
            chunk("ash elm", document="b.md", title="Yew"),
        ]
    )
    assert index.documents == ("a.md", "b.md")
    assert len(index) == 3
    assert [index.holders(term) for term in ("ash", "elm", "oak", "fir")] == [3, 3, 2, 0]
    assert [index.headed(term) for term in ("ash", "elm", "oak", "fir")] == [0, 1, 1, 0]


def test_related_word_matches_instead_of_the_word_itself() -> None:
    index = pages("The worker labels logs.", "Wood dries.", "Wood burns.")
    asked = query("annotator", {"annot": {"worker": 0.5, "elf": 0.9}})

    found, *others = index.scores(asked, documents=0)

    assert found == pytest.approx(0.5 * scores(index, "worker")[0])
    assert others == [0, 0]


def test_rare_related_word_does_not_outweigh_the_word_itself() -> None:
    index = pages("The disk is full.", "The volume is full.", "A disk.", "A disk too.", "The disk.")
    asked = query("disk", {"disk": {"volum": 1.0}})
    assert index.rarity("volum") > index.rarity("disk")

    itself, related, *_ = index.scores(asked, documents=0)

    assert related == pytest.approx(itself)
    assert scores(index, "volume")[1] > itself


def test_word_and_its_related_word_count_once() -> None:
    index = pages("The disk volume.", "The disk burns.", "Elm.", "Ash.")
    asked = query("disk", {"disk": {"volum": 0.9}})
    both, one, *_ = index.scores(asked, documents=0)
    assert both == pytest.approx(one)


@pytest.mark.parametrize("question", ["", "what is it", "elm 7 KilnConfig"])
def test_question_without_matches_scores_zero(question: str) -> None:
    index = pages("Oak dries.", "Ash burns.")
    assert np.array_equal(scores(index, question, documents=1), [0, 0])


def test_texts_without_words_score_zero() -> None:
    empty = LexicalIndex([chunk("", title=""), chunk("| --- |", title="", ordinal=1)])
    assert np.array_equal(scores(empty, "oak", documents=1), [0, 0])
    mixed = LexicalIndex([chunk("", title=""), chunk("Oak.", title="", document="b.md")])
    first, second = scores(mixed, "oak", documents=1)
    assert second > first == 0
    assert len(LexicalIndex([])) == 0


def test_defined_terms_of_a_list_count_as_headings() -> None:
    defining = chunk("- **KilnKeyId** (string): The key.\n- **Age** (long): In days.")
    mentioning = chunk("The kiln has a **bold** door. An oak key lies in it.", document="b.md")
    index = LexicalIndex([defining, mentioning])

    assert index.headed("key") == 1
    assert index.headed("age") == 1
    assert index.headed("bold") == 0
    assert index.headed("oak") == 0
