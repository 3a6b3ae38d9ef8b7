"""Paragraphs in lists have the numbers that Word shows."""

import pytest
from docx import Document  # type: ignore[import-untyped, unused-ignore]

from dataset.conversion.numerals import numeral
from dataset.conversion.office import docx
from tests.files.office import saved
from tests.files.word import (
    definition,
    item,
    level,
    list_of,
    numbering,
    paragraph,
    word_of,
)

OUTLINE = definition(
    0, level(0, "decimal", "%1."), level(1, "decimal", "%1.%2"), level(2, "lowerLetter", "%3)")
)
CLAUSES = definition(
    1, level(0, "upperRoman", "Article %1."), level(1, "decimal", "§ %1.%2", "<w:isLgl/>")
)
START_AT_FIVE = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
LISTS = numbering(
    OUTLINE,
    CLAUSES,
    definition(2, level(0, "bullet", "·")),
    definition(3, level(0, "bullet", " "), '<w:lvl w:ilvl="1"><w:numFmt w:val="decimal"/></w:lvl>'),
    list_of(1, 0),
    list_of(2, 1),
    list_of(3, 0, START_AT_FIVE),
    list_of(4, 2),
    list_of(5, 3),
)


def text_of(*body: str) -> str:
    return docx.read_docx(word_of("".join(body), numbering=LISTS), "").text.strip()


def test_list_continues_after_an_interruption() -> None:
    body = (item("one", 1), item("two", 1), paragraph("Words."), item("three", 1))
    assert text_of(*body) == "1. one\n2. two\n\nWords.\n\n3. three"


def test_list_with_its_own_start_begins_there_once() -> None:
    body = (item("one", 1), item("five", 3), item("six", 3), item("seven", 1))
    assert text_of(*body) == "1. one\n\n5. five\n6. six\n7. seven"


def test_items_of_deeper_levels_have_their_whole_number() -> None:
    body = (
        *(item("a", 1), item("b", 1, 1), item("c", 1, 2), item("d", 1, 2), item("e", 1, 1)),
        *(item("f", 1), item("g", 1, 1)),
    )
    assert text_of(*body) == (
        "1. a\n   - 1.1 b\n     - a) c\n     - b) d\n   - 1.2 e\n2. f\n   - 2.1 g"
    )


def test_labels_that_are_not_plain_numbers_are_kept() -> None:
    assert text_of(item("Scope", 2), item("This contract", 2, 1), item("Terms", 2)) == (
        "- Article I. Scope\n  - § 1.1 This contract\n- Article II. Terms"
    )


def test_bullets_and_numbers_of_one_level_stay_apart() -> None:
    assert text_of(item("a", 4), item("b", 1), item("c", 4)) == "- a\n\n1. b\n\n- c"


def test_paragraph_whose_bullet_is_blank_is_no_item() -> None:
    body = (item("one", 1), item("More about it.", 5), item("two", 1))
    assert text_of(*body) == "1. one\n\nMore about it.\n\n2. two"


def test_level_without_a_text_has_plain_numbers() -> None:
    assert text_of(item("a", 5, 1), item("b", 5, 1)) == "- 1. a\n  2. b"


def test_numbered_heading_has_its_number() -> None:
    listed = '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr>'
    heading = paragraph("Limits", f'<w:pStyle w:val="Heading2"/>{listed}')
    assert text_of(item("a", 1), heading) == "1. a\n\n## 1.1 Limits"


def test_deleted_and_hidden_items_are_not_counted() -> None:
    hidden = paragraph(
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>x</w:t></w:r>", "<w:rPr><w:vanish/></w:rPr>"
    )
    listed = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    hidden = hidden.replace("<w:pPr>", f"<w:pPr>{listed}")
    assert text_of(item("a", 1), hidden, item("b", 1)) == "1. a\n2. b"


def test_list_of_a_style_continues_too() -> None:
    document = Document()
    for text, style in (("a", "List Number"), ("Words.", "Normal"), ("b", "List Number")):
        document.add_paragraph(text, style=style)
    assert docx.read_docx(saved(document), "").text == "1. a\n\nWords.\n\n2. b\n"


@pytest.mark.parametrize(
    ("number", "kind", "expected"),
    [
        (28, "lowerLetter", "bb"),
        (4, "upperLetter", "D"),
        (1994, "lowerRoman", "mcmxciv"),
        (9, "upperRoman", "IX"),
        (7, "decimalZero", "07"),
        (7, "none", ""),
        (7, "ordinalText", "7"),
        (0, "lowerLetter", "0"),
    ],
)
def test_numerals(number: int, kind: str, expected: str) -> None:
    assert numeral(number, kind) == expected
