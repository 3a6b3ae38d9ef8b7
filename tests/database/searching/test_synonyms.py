"""Related words from the corpus and the embedding model."""

from collections.abc import Mapping, Sequence
from math import cos, sin

import numpy as np
import pytest

from database.searching.synonyms import (
    MAX_SYNONYMS,
    MIN_CHUNKS,
    MIN_COSINE,
    RelatedWords,
    corpus_words,
)

Angles = Mapping[str, float]


class TurningEmbed:
    """Embeds words as directions in a plane, by their angles, and records the words."""

    def __init__(self, angles: Angles) -> None:
        self.angles = angles
        self.asked: list[str] = []
        self.calls = 0

    def __call__(self, words: list[str]) -> Sequence[Sequence[float]]:
        self.asked += words
        self.calls += 1
        angles = [self.angles.get(word, 0.0) for word in words]
        return [[cos(angle), sin(angle)] for angle in angles]


def related(angles_of: Angles, embed: TurningEmbed) -> RelatedWords:
    """The words of an index, by their angles."""
    vectors = np.array([[cos(angle), sin(angle)] for angle in angles_of.values()], dtype=np.float32)
    return RelatedWords(list(angles_of), vectors.reshape(-1, 2), embed)


def near(words: RelatedWords, word: str) -> Mapping[str, float]:
    return words.near([word])[word]


MANY = ["Other words entirely."] * 5000
"""Texts of an index that is large enough for MIN_CHUNKS."""


def times(text: str, count: int = MIN_CHUNKS) -> list[str]:
    return [text] * count


def test_word_in_enough_chunks_is_listed_by_its_stem() -> None:
    texts = times("Kilns burn.") + times("Stoves glow.", MIN_CHUNKS - 1)
    assert corpus_words(texts) == {"burn": "burn", "kiln": "kilns"}
    assert corpus_words(texts + MANY).keys() - corpus_words(MANY).keys() == {"burn", "kiln"}


def test_two_chunks_are_enough_in_a_small_index() -> None:
    texts = [*times("Kilns burn.", 2), "Stoves glow."]
    found = corpus_words(texts + MANY[:100])
    assert found.keys() - corpus_words(MANY[:100]).keys() == {"burn", "kiln"}
    assert corpus_words(texts) == {}


def test_most_frequent_form_represents_a_stem() -> None:
    assert corpus_words([*times("kiln", 2), *times("Kilns", 3)]) == {"kiln": "kilns"}
    assert corpus_words([*times("kilns", 3), *times("kiln", 3)]) == {"kiln": "kiln"}


@pytest.mark.parametrize(
    "text", ["kiln kiln kiln kiln kiln kiln", "kiln Kiln KILN kilns Kilns KILNS"]
)
def test_repetitions_within_a_text_count_once(text: str) -> None:
    assert corpus_words([text]) == {}
    assert corpus_words(times(text, MIN_CHUNKS - 1)) == {}
    found = corpus_words(times(text, MIN_CHUNKS - 1) + MANY)
    assert found == corpus_words(MANY)


def test_snake_case_parts_are_words_and_camel_case_is_not() -> None:
    assert corpus_words(times("kiln_heat7 StoveGlow ashElm")) == {"heat": "heat", "kiln": "kiln"}


@pytest.mark.parametrize("text", ["", "a ox 42 é", "what should the amazon", "x" * 41])
def test_short_huge_and_stop_words_are_ignored(text: str) -> None:
    assert corpus_words(times(text)) == {}


def test_near_words_are_ordered_by_cosine_and_far_ones_dropped() -> None:
    angles_of = {"worker": 0.5, "labor": 0.2, "disk": 1.5, "stove": 3.0}
    found = near(related(angles_of, TurningEmbed({"annotator": 0.0})), "annotator")
    assert list(found) == ["labor", "worker"]
    assert list(found.values()) == pytest.approx([cos(0.2), cos(0.5)])


def test_words_below_the_cosine_threshold_are_not_near() -> None:
    edge = float(np.arccos(MIN_COSINE))
    angles_of = {"just": edge - 0.01, "not": edge + 0.01}
    assert list(near(related(angles_of, TurningEmbed({})), "kiln")) == ["just"]


def test_word_is_not_its_own_synonym() -> None:
    angles_of = {"kiln": 0.0, "stove": 0.1}
    words = related(angles_of, TurningEmbed({}))
    assert list(near(words, "kiln")) == ["stove"]
    assert list(near(words, "kilns")) == ["stove"]


@pytest.mark.parametrize("word", ["kilns", "oven"])
def test_number_of_synonyms_is_limited(word: str) -> None:
    angles_of = {"kiln": -0.5 * (word == "oven")} | {
        f"w{n}": 0.01 * n for n in range(2 * MAX_SYNONYMS, 0, -1)
    }
    found = near(related(angles_of, TurningEmbed({})), word)
    assert list(found) == [f"w{n}" for n in range(1, MAX_SYNONYMS + 1)]


def test_only_words_outside_the_index_are_embedded_and_cached() -> None:
    embed = TurningEmbed({"annotator": 0.1})
    words = related({"worker": 0.0, "labor": 0.2}, embed)

    assert near(words, "workers") == {"labor": pytest.approx(cos(0.2))}
    assert embed.asked == []
    first = near(words, "annotator")
    assert near(words, "annotator") == first != {}
    assert embed.asked == ["annotator"]


def test_cache_evicts_the_least_recently_used_words() -> None:
    embed = TurningEmbed({})
    words = related({"kiln": 0.0}, embed)
    near(words, "old")
    for number in range(10_000):
        near(words, f"word{number}")
        near(words, "often")

    near(words, "old")

    assert embed.asked.count("old") == 2
    assert embed.asked.count("often") == 1


def test_index_without_words_embeds_nothing() -> None:
    embed = TurningEmbed({})
    words = related({}, embed)
    assert len(words) == 0
    assert near(words, "kiln") == {}
    assert embed.asked == []


def test_new_words_are_embedded_in_one_batch() -> None:
    embed = TurningEmbed({"annotator": 0.1, "oven": 0.3})
    words = related({"worker": 0.0, "labor": 0.2}, embed)
    near(words, "oven")

    found = words.near(["annotator", "workers", "oven", "annotator", "stove"])

    assert list(found) == ["annotator", "workers", "oven", "stove"]
    assert embed.asked == ["oven", "annotator", "stove"]
    assert embed.calls == 2
    assert found["workers"] == near(words, "worker") == {"labor": pytest.approx(cos(0.2))}
    assert found["annotator"]["labor"] == pytest.approx(cos(0.1))
    assert words.near([]) == {}
