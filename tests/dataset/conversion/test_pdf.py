"""A PDF becomes markdown: headings by their type, paragraphs, lists, code, tables, columns."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import pytest
from reportlab.platypus import Spacer

from dataset.conversion.pdf.reader import read_pdf
from tests.files.pdf import (
    SENTENCE,
    bullets,
    code,
    drawn_row_by_row,
    in_other_scripts,
    one_page,
    pages_of,
    paragraph,
    pdf_of,
    protected,
    scanned,
    stream,
    table,
)
from utils.errors import DocumentError


def text_of(content: bytes) -> str:
    return read_pdf(content, "").text.strip()


def test_headings_come_from_the_size_of_their_type() -> None:
    content = pdf_of(
        paragraph("Harbour crane", "Heading1"),
        paragraph(SENTENCE),
        paragraph("Before you lift", "Heading2"),
        paragraph(SENTENCE * 3),
    )
    blocks = text_of(content).split("\n\n")
    assert blocks[:3] == ["# Harbour crane", SENTENCE, "## Before you lift"]
    assert len(blocks) == 4


def test_a_bold_line_of_its_own_is_a_heading_and_bold_words_are_none() -> None:
    content = pdf_of(
        paragraph(SENTENCE),
        Spacer(1, 12),
        paragraph("<b>Before you lift</b>"),
        Spacer(1, 12),
        paragraph(f"<b>Mind</b> the wind. {SENTENCE}"),
    )
    assert text_of(content) == f"{SENTENCE}\n\n# Before you lift\n\nMind the wind. {SENTENCE}"


def test_lists_keep_their_items_whole() -> None:
    content = pdf_of(
        paragraph("First."), bullets("Brakes", SENTENCE * 2, "Lock"), paragraph("Last.")
    )
    assert text_of(content) == f"First.\n\n- Brakes\n- {SENTENCE * 2}\n- Lock\n\nLast."


def test_code_keeps_its_lines_and_indents() -> None:
    source = "def lift(load):\n    if load > 40:\n        raise Overload(load)\n    return load"
    content = pdf_of(
        paragraph(SENTENCE), code(source), paragraph("Call <font name=Courier>lift()</font>.")
    )
    assert text_of(content) == f"{SENTENCE}\n\n```\n{source}\n```\n\nCall `lift()`."


@pytest.mark.parametrize("ruled", [True, False])
def test_tables_become_pipe_tables(ruled: bool) -> None:
    rows = [["Wind", "Load", "Speed"], ["10 m/s", "40 t", "1.5 m/s"], ["15 m/s", "30 t", "1 m/s"]]
    content = pdf_of(paragraph(SENTENCE), table(rows, ruled=ruled), paragraph("After."))
    assert text_of(content) == (
        f"{SENTENCE}\n\n| Wind | Load | Speed |\n| --- | --- | --- |\n"
        "| 10 m/s | 40 t | 1.5 m/s |\n| 15 m/s | 30 t | 1 m/s |\n\nAfter."
    )


def test_cells_of_several_lines_are_whole_where_rules_are_around_them() -> None:
    said = "Stop at once, lower the load to the quay and call the foreman, who decides."
    rows = [["Wind", "What to do"], ["10 m/s", paragraph(said)], ["15 m/s", paragraph(said)]]
    cells = table(rows, ruled=True, colWidths=[80, 150])
    assert text_of(pdf_of(paragraph(SENTENCE), cells)).split("\n")[2:] == [
        "| Wind | What to do |",
        "| --- | --- |",
        f"| 10 m/s | {said} |",
        f"| 15 m/s | {said} |",
    ]


def test_links_lead_where_they_led() -> None:
    content = pdf_of(paragraph('See <a href="https://x.example/a">the page</a>.'))
    assert text_of(content) == "See [the page](https://x.example/a)."


def test_two_columns_are_read_one_after_the_other() -> None:
    flow = [paragraph(f"Paragraph {n}. {SENTENCE}") for n in range(40)]
    text = text_of(pdf_of(*flow, columns=2))
    places = [text.index(f"Paragraph {n}.") for n in range(40)]
    assert places == sorted(places)
    assert text.count(SENTENCE) == 40


def test_columns_that_were_drawn_row_by_row_are_parted() -> None:
    left = [f"left line {n} of the first column" for n in range(12)]
    right = [f"right line {n} of the second column" for n in range(12)]
    text = text_of(drawn_row_by_row(left, right))
    assert " ".join(left) in text
    assert " ".join(right) in text


def test_what_repeats_on_every_page_is_left_out() -> None:
    flow = [paragraph(f"Part {n}. {SENTENCE}" * 12) for n in range(12)]
    text = text_of(pdf_of(*flow, running="Harbour Works confidential"))
    assert "confidential" not in text
    assert "Page" not in text
    assert text.count(SENTENCE) == 144


def test_a_sentence_goes_on_over_the_end_of_a_page() -> None:
    text = text_of(pdf_of(paragraph("and so on until it ends somewhere else " * 300)))
    assert "\n" not in text
    assert text.count("and so on until it ends somewhere else") == 300


def test_other_scripts_are_read() -> None:
    content = in_other_scripts(
        ("Кран поднимает контейнер. Мостовой кран.", "DejaVu"),
        ("起重机吊起集装箱。", "STSong-Light"),
        ("クレーンは持ち上げる。", "HeiseiMin-W3"),
    )
    assert text_of(content).split("\n\n") == [
        "Кран поднимает контейнер. Мостовой кран.",
        "起重机吊起集装箱。",
        "クレーンは持ち上げる。",
    ]


def test_a_word_that_was_hyphenated_is_whole_again() -> None:
    lines = b"BT /F1 12 Tf 14 TL 50 700 Td (The crane lifts a con-) ' (tainer at a time.) ' ET"
    assert text_of(one_page(stream(lines))) == "The crane lifts a container at a time."


def test_a_pdf_says_its_title_and_when_it_was_changed() -> None:
    converted = read_pdf(pdf_of(paragraph(SENTENCE), title="Crane manual"), "")
    assert converted.title == "Crane manual"
    assert converted.changed[:2] == "20"
    assert read_pdf(pages_of(SENTENCE), "").title == ""


def test_a_pdf_that_is_only_kept_from_changes_is_read() -> None:
    assert text_of(protected("")) == SENTENCE
    with pytest.raises(DocumentError, match="is protected by a password"):
        read_pdf(protected("secret"), "")


def test_scanned_pages_are_refused() -> None:
    with pytest.raises(DocumentError, match=r"contains no text \(a scanned PDF\? run OCR first\)"):
        read_pdf(scanned(2), "")
