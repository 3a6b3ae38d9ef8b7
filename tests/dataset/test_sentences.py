"""Where a sentence ends, in each of the variants."""

import pytest

from dataset.sentences import (
    chunking_sentences,
    prose_sentence_starts,
    prose_sentences,
    sentences,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ('He said "no." (Yes.)  Then more', ['He said "no."', "(Yes.)", "Then more"]),
        ("Use e.g. A or i.e. B, see Fig. 3.", ["Use e.g. A or i.e. B, see Fig. 3."]),
        ("Run `a. B` now. Done.", ["Run `a. B` now.", "Done."]),
        ("Version 1.2 of it. it goes on", ["Version 1.2 of it. it goes on"]),
        (
            "\u5bc6\u94a5\u8fc7\u671f\u3002\u300c\u597d\uff01\u300d\u7136\u540e\u3002 Then. \u5b8c",
            [
                "\u5bc6\u94a5\u8fc7\u671f\u3002",
                "\u300c\u597d\uff01\u300d",
                "\u7136\u540e\u3002",
                "Then. \u5b8c",
            ],
        ),
        ("\u671f\uff0e\u7d42\uff0e", ["\u671f\uff0e", "\u7d42\uff0e"]),
        ("\uff11\uff0e\u671f\u306f\uff13\uff0e\uff11\u5206\uff0e Next",
         ["\uff11\uff0e\u671f\u306f\uff13\uff0e\uff11\u5206\uff0e", "Next"]),
        ("\uff41\uff0e\uff54\uff58\uff54\u3092", ["\uff41\uff0e\uff54\uff58\uff54\u3092"]),
        ("\u4f55\uff01\uff1f\uff08\u300c\u597d\u3002\u300d\uff09\u7d42\u2049\u671f",
         ["\u4f55\uff01\uff1f", "\uff08\u300c\u597d\u3002\u300d\uff09", "\u7d42\u2049", "\u671f"]),
        ("\u300c\u4f55\uff1f\u300d\u3002\u7d42\uff61\uff63\u671f",
         ["\u300c\u4f55\uff1f\u300d\u3002", "\u7d42\uff61\uff63", "\u671f"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_keep_abbreviations_and_code_whole(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_sentences_of_full_width_are_cut_alike_for_chunks() -> None:
    text = "\u671f\uff08\u300c\u597d\u3002\u300d\uff09\u7d42\uff01\uff1f\u671f\uff0e\u7d42"
    assert chunking_sentences(text) == sentences(text)


def test_the_variants_differ_in_colons_line_breaks_and_what_follows() -> None:
    text = "Note: Use it. then\nStop. Go"
    assert sentences(text) == ["Note: Use it. then\nStop.", "Go"]
    assert chunking_sentences(text) == ["Note:", "Use it. then\nStop.", "Go"]
    assert prose_sentences(text) == ["Note: Use it. then", "Stop.", "Go"]
    assert [text[start:][:4] for start in prose_sentence_starts(text)] == ["Stop", "Go"]
