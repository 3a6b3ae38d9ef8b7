"""Citations are rewritten as `[n]`, invalid ones are removed, other text is unchanged."""

import random

import pytest

from inference_worker.grounding.citations import CitationFilter
from tests.stopwatch import assert_linear_time

PASSAGES = 8


def cleaned(*pieces: str, passages: int = PASSAGES) -> tuple[str, int]:
    citations = CitationFilter(passages)
    text = "".join([*map(citations.feed, pieces), citations.finish()])
    return text, citations.removed


FORMS = {
    "[1]": "[1]",
    "[1][2]": "[1][2]",
    "[1] [2]": "[1] [2]",
    "[1, 2]": "[1][2]",
    "[1,2]": "[1][2]",
    "[1; 2 and 4]": "[1][2][4]",
    "[1, 2, and 3]": "[1][2][3]",
    "[ 1 ]": "[1]",
    "[1-3]": "[1][2][3]",
    "[1–3, 5]": "[1][2][3][5]",  # noqa: RUF001
    "[2, 2]": "[2]",
    "【1】": "[1]",
    "【1】【2】": "[1][2]",
    "【1†source】": "[1]",
    "【4:0†source】": "[4]",
    "【3†L1-L5】": "[3]",
    "[^1]": "[1]",
    "[^1][^2]": "[1][2]",
    "[[1]]": "[1]",
    "[[1], [2]]": "[1][2]",
    "[[1][2]]": "[1][2]",
    "[passage 2]": "[2]",
    "[Passage 1, 3]": "[1][3]",
    "[passages 1 and 3]": "[1][3]",
    "[passage 1, passage 3]": "[1][3]",
    "[see passage 4]": "[4]",
    "[source 1]": "[1]",
    "[Source: 1]": "[1]",
    "[citation:3]": "[3]",
    "[doc1]": "[1]",
    "[#1]": "[1]",
    r"\[1\]": "[1]",
    "［１］": "[1]",  # noqa: RUF001
    "[\u200b1\u200b]": "[1]",
    "[\u200f1, 2\u200e]": "[1][2]",
    "([1, 2])": "([1][2])",
    "**[1, 2]**": "**[1][2]**",
    "[Note [1, 2]]": "[Note [1][2]]",
}


@pytest.mark.parametrize(("written", "marker"), FORMS.items())
def test_every_form_of_citation_is_normalised(written: str, marker: str) -> None:
    assert cleaned(f"A kiln dries wood {written}. It is hot.") == (
        f"A kiln dries wood {marker}. It is hot.",
        0,
    )


NOWHERE = {
    "A kiln [99].": "A kiln.",
    "A kiln [0] dries.": "A kiln dries.",
    "A kiln[99] dries.": "A kiln dries.",
    "A kiln [99] [98], too.": "A kiln, too.",
    "A kiln [99][1].": "A kiln [1].",
    "A kiln [1][99].": "A kiln [1].",
    "A kiln [1, 99, 3].": "A kiln [1][3].",
    "A kiln [7-12].": "A kiln [7][8].",
    "A kiln [99] .": "A kiln.",
    "A kiln ([99]).": "A kiln.",
    "A kiln ( [99] ) dries.": "A kiln dries.",
    "A kiln (see [99]) dries.": "A kiln (see) dries.",
    "A kiln ([99], [1]) dries.": "A kiln (, [1]) dries.",
    "A kiln【9†source】.": "A kiln.",
    "A kiln [99]\nB": "A kiln\nB",
    "A kiln [99]\r\nB [9]\r\n": "A kiln\r\nB\r\n",
    "[99] A kiln": "A kiln",
    "- [99] A kiln\n- B [99]": "- A kiln\n- B",
    "| A [99] | B |": "| A | B |",
    "A [99] (b)": "A (b)",
    "A [99] [text](u)": "A [text](u)",
    "A [123456789012] b": "A b",
}


@pytest.mark.parametrize(("text", "rest"), NOWHERE.items())
def test_invalid_citations_are_removed_with_their_space(text: str, rest: str) -> None:
    found, removed = cleaned(text)
    assert found == rest
    assert removed >= 1


def test_each_invalid_number_is_counted() -> None:
    assert cleaned("A [0][99], b [1, 9, 10] and c [7-12].")[1] == 5


def test_without_passages_every_citation_is_removed() -> None:
    assert cleaned("A [1], b [2].", passages=0) == ("A, b.", 2)


UNTOUCHED = [
    "A (1) b (2).",
    "[1](https://kiln.example/a) and [the guide](guide.md)",
    "[the guide][1] and [99](https://kiln.example)",
    "[1]: https://kiln.example\n[^99]: A note.",
    "- [ ] open\n- [x] done\n- [X] done",
    "`a[1]`, `b[99]`, ``c[`1, 2`]`` and `[1, 2]`",
    "```python\na[99] = b[1, 2]\n```",
    "```\na[99]\n``\n[1, 2]\n ```\t\n",
    "~~~\n[99]\n~~~\n",
    "- ```json\n  [1, 2]\n  ```\n",
    "```\nunclosed [99]\n[1, 2]",
    "a value in [0, 1], or [0, 99]",
    "the range [1, 100], an interval of [1, 5], between [2, 8], values from [1, 4]",
    "a number in [1, 8], where `x` in [2, 3] and y is in [3, 7]",
    "of shape [1, 3, 224], a vector [1, 2], a list of [1, 2, 3]",
    "[xmin, ymin], [1.5, 2], [-1, 1], [1, x], [2024-11-22], [a], [], [ ], [,], [1-]",
    "[a [b [c",
    "x [1",
    r"a \\\\[1] b",
    "~~struck~~ and a \\ b \\",
]


@pytest.mark.parametrize("text", UNTOUCHED)
def test_text_that_is_not_a_citation_is_unchanged(text: str) -> None:
    assert cleaned(text) == (text, 0)


def test_the_words_before_distinguish_intervals_from_citations() -> None:
    text = "As described in [1, 2], a value in [1, 2] fits the limits [3, 4], used in [5, 6]."
    assert cleaned(text)[0] == (
        "As described in [1][2], a value in [1, 2] fits the limits [3][4], used in [5][6]."
    )


def test_a_citation_follows_an_interval() -> None:
    assert cleaned("a value in [0, 1][2], [99]")[0] == "a value in [0, 1][2],"


def test_an_unclosed_backtick_does_not_hide_citations() -> None:
    assert cleaned("The ` sign [1, 2].\nNext `` [99].") == ("The ` sign [1][2].\nNext ``.", 1)


@pytest.mark.parametrize(
    "code", [r"\`[99]\`", "`" * 65 + "[99]" + "`" * 64, "a" * 120 + "```\n[99]", "> ```\n[99]"]
)
def test_what_only_seems_to_be_code_hides_no_citation(code: str) -> None:
    assert cleaned(code) == (code.replace("[99]", ""), 1)
    assert cleaned(*code) == cleaned(code)


def test_removing_a_citation_creates_no_new_one() -> None:
    for text in ("[9[99]9]", "[[99]9]", "[1,[99]99]"):
        found, _ = cleaned(text)
        assert "[99]" not in found.replace(text, "")


def test_a_citation_split_over_two_pieces_is_one() -> None:
    citations = CitationFilter(PASSAGES)
    assert citations.feed("A kiln dries [") == "A kiln dries"
    assert citations.feed("1") == ""
    assert citations.feed(", 2] wood") == " [1][2] wood"


def test_text_without_brackets_is_emitted_at_once() -> None:
    citations = CitationFilter(PASSAGES)
    for word in ("A", " kiln", " dries", " wood.", "\n\nIt", " is", " hot."):
        assert citations.feed(word) == word


def test_a_bracket_buffers_at_most_a_line_or_forty_characters() -> None:
    citations = CitationFilter(PASSAGES)
    assert citations.feed("[see\n") == "[see\n"
    written = [citations.feed("a") for _ in range(60)]
    assert all(written)
    citations.feed(" [")
    assert any(citations.feed("a") for _ in range(45))


def test_unclosed_code_is_buffered_for_a_line_or_five_hundred_characters() -> None:
    citations = CitationFilter(PASSAGES)
    assert citations.feed("`a") == ""
    assert citations.feed(" b\n") == "`a b\n"
    citations.feed("`")
    assert any(citations.feed("a") for _ in range(505))
    citations.feed("\n```\n")
    assert any(citations.feed(" ") for _ in range(105))


WHOLE = [
    *(f"A kiln {form}. B{form} c" for form in FORMS),
    *NOWHERE,
    *UNTOUCHED,
    "The ` sign [1, 2].\nNext `` [99] `.",
    "```py\r\na[1]\r\n```\r\n[1, 2]\r\n",
]


@pytest.mark.parametrize("text", WHOLE)
def test_the_result_does_not_depend_on_the_pieces(text: str) -> None:
    whole = cleaned(text)
    assert cleaned(*text) == whole
    for at in range(len(text)):
        assert cleaned(text[:at], text[at:]) == whole
        assert cleaned(text[:at], text[at : at + 2], text[at + 2 :]) == whole


def test_cleaning_random_markup_is_idempotent_and_independent_of_the_pieces() -> None:
    chance = random.Random(7)
    parts = ["[", "]", "1", "99", ", ", " ", "`", "```", "\n", "(", ")", "\\", "~~~", "passage "]
    parts += ["†", "【", "】", "word", ".", "-", " in ", ":", "[1]", "[99]", "\r\n", "[[", "]]"]
    for _ in range(1500):
        text = "".join(chance.choices(parts, k=chance.randint(2, 30)))
        cuts = sorted(chance.choices(range(len(text) + 1), k=chance.randint(1, 6)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        whole = cleaned(text)
        assert cleaned(*pieces) == whole == cleaned(*text)
        assert cleaned(whole[0])[0] == whole[0]


@pytest.mark.parametrize(
    ("prefix", "unit", "suffix"),
    [
        *(("", unit, "") for unit in ("[", "[1", "[1]", "[99] ", "[[", "`", "` `` ``` ")),
        *(("", unit, "") for unit in (" ", "(", "\\", "~")),
        ("```\n", " ", ""),
        ("[", "1 ", ""),
        ("", "[1,", "]"),
        ("[99999", "9", "]"),
    ],
)
def test_hostile_text_takes_linear_time(prefix: str, unit: str, suffix: str) -> None:
    def clean(text: str) -> None:
        cleaned(text)
        cleaned(*(text[at : at + 5] for at in range(0, len(text), 5)))

    assert_linear_time(clean, unit, prefix=prefix, suffix=suffix)
