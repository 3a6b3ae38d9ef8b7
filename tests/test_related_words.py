"""Words that mean nearly the same are learned from the corpus and the model, at little cost."""

from collections.abc import Mapping, Sequence
from math import cos, sin

import numpy as np
import pytest

from database.related_words import FEWEST_CHUNKS, MOST, NEAREST, RelatedWords, corpus_words

Angles = Mapping[str, float]


class TurningEmbed:
    """Embeds words as directions in a plane, by their angles; records what it was asked."""

    def __init__(self, angles: Angles) -> None:
        self.angles = angles
        self.asked: list[str] = []

    def __call__(self, word: str) -> Sequence[float]:
        self.asked.append(word)
        angle = self.angles.get(word, 0.0)
        return [cos(angle), sin(angle)]


def related(held: Angles, embed: TurningEmbed) -> RelatedWords:
    """The words of an index, by their angles."""
    vectors = np.array([[cos(angle), sin(angle)] for angle in held.values()], dtype=np.float32)
    return RelatedWords(list(held), vectors.reshape(-1, 2), embed)


def times(text: str, count: int = FEWEST_CHUNKS) -> list[str]:
    return [text] * count


def test_word_in_enough_texts_is_held_by_its_stem() -> None:
    texts = times("Kilns burn.") + times("Stoves glow.", FEWEST_CHUNKS - 1)
    assert corpus_words(texts) == {"burn": "burn", "kiln": "kilns"}


def test_form_written_most_is_the_form_and_the_first_of_equals() -> None:
    assert corpus_words([*times("kiln", 2), *times("Kilns", 3)]) == {"kiln": "kilns"}
    assert corpus_words([*times("kilns", 3), *times("kiln", 3)]) == {"kiln": "kiln"}


@pytest.mark.parametrize(
    "text",
    [
        "kiln kiln kiln kiln kiln kiln",
        pytest.param(
            "kiln Kiln KILN kilns Kilns KILNS",
        ),
    ],
)
def test_text_counts_once_however_often_it_has_the_word(text: str) -> None:
    assert corpus_words([text]) == {}
    assert corpus_words(times(text, FEWEST_CHUNKS - 1)) == {}


def test_parts_of_a_name_with_underscores_are_words_and_camel_case_is_not() -> None:
    assert corpus_words(times("kiln_heat7 StoveGlow ashElm")) == {"heat": "heat", "kiln": "kiln"}


@pytest.mark.parametrize("text", ["", "a ox 42 é", "what should the amazon", "x" * 41])
def test_short_giant_and_empty_words_are_left_out(text: str) -> None:
    assert corpus_words(times(text)) == {}


def test_near_words_come_nearest_first_and_far_ones_not_at_all() -> None:
    held = {"worker": 0.5, "labor": 0.2, "disk": 1.5, "stove": 3.0}
    found = related(held, TurningEmbed({"annotator": 0.0})).near("annotator")
    assert list(found) == ["labor", "worker"]
    assert list(found.values()) == pytest.approx([cos(0.2), cos(0.5)])


def test_word_counts_as_near_from_the_threshold_on() -> None:
    edge = float(np.arccos(NEAREST))
    held = {"just": edge - 0.01, "not": edge + 0.01}
    assert list(related(held, TurningEmbed({})).near("kiln")) == ["just"]


def test_word_is_not_near_itself_in_any_form() -> None:
    held = {"kiln": 0.0, "stove": 0.1}
    words = related(held, TurningEmbed({}))
    assert list(words.near("kiln")) == ["stove"]
    assert list(words.near("kilns")) == ["stove"]


@pytest.mark.parametrize("word", ["kilns", "oven"])
def test_only_the_nearest_words_stand_for_one_its_own_not_counted(word: str) -> None:
    held = {"kiln": -0.5 * (word == "oven")} | {f"w{n}": 0.01 * n for n in range(2 * MOST, 0, -1)}
    found = related(held, TurningEmbed({})).near(word)
    assert list(found) == [f"w{n}" for n in range(1, MOST + 1)]


def test_word_of_the_index_is_not_embedded_and_another_once() -> None:
    embed = TurningEmbed({"annotator": 0.1})
    words = related({"worker": 0.0, "labor": 0.2}, embed)

    assert words.near("workers") == {"labor": pytest.approx(cos(0.2))}
    assert embed.asked == []
    first = words.near("annotator")
    assert words.near("annotator") == first != {}
    assert embed.asked == ["annotator"]


def test_what_was_asked_long_ago_is_forgotten_and_what_is_asked_again_is_kept() -> None:
    embed = TurningEmbed({})
    words = related({"kiln": 0.0}, embed)
    words.near("old")
    for number in range(10_000):
        words.near(f"word{number}")
        words.near("often")

    words.near("old")

    assert embed.asked.count("old") == 2
    assert embed.asked.count("often") == 1


def test_index_without_words_embeds_nothing() -> None:
    embed = TurningEmbed({})
    words = related({}, embed)
    assert len(words) == 0
    assert words.near("kiln") == {}
    assert embed.asked == []
