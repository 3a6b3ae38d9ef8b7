"""PDF to markdown: headings, paragraphs, lists, code, tables and columns."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import pytest
from reportlab.platypus import Spacer

from dataset.conversion.pdf.reader import read_pdf
from tests.dataset.conversion.pdf.converted import text_of
from tests.files.pdf import (
    SENTENCE,
    bullets,
    code,
    drawn_row_by_row,
    in_other_scripts,
    one_page,
    paragraph,
    pdf_of,
    protected,
    scanned,
    stream,
    table,
)
from utils.errors import DocumentError


def test_headings_are_derived_from_font_size() -> None:
    content = pdf_of(
        paragraph("Harbour crane", "Heading1"),
        paragraph(SENTENCE),
        paragraph("Before you lift", "Heading2"),
        paragraph(SENTENCE * 3),
    )
    blocks = text_of(content).split("\n\n")
    assert blocks[:3] == ["# Harbour crane", SENTENCE, "## Before you lift"]
    assert len(blocks) == 4


def test_bold_line_is_a_heading_and_inline_bold_is_not() -> None:
    content = pdf_of(
        paragraph(SENTENCE),
        Spacer(1, 12),
        paragraph("<b>Before you lift</b>"),
        Spacer(1, 12),
        paragraph(f"<b>Mind</b> the wind. {SENTENCE}"),
    )
    assert text_of(content) == f"{SENTENCE}\n\n# Before you lift\n\nMind the wind. {SENTENCE}"


def test_list_items_are_not_split() -> None:
    content = pdf_of(
        paragraph("First."), bullets("Brakes", SENTENCE * 2, "Lock"), paragraph("Last.")
    )
    assert text_of(content) == f"First.\n\n- Brakes\n- {SENTENCE * 2}\n- Lock\n\nLast."


def test_code_keeps_lines_and_indentation() -> None:
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


def test_multiline_cells_of_a_ruled_table_are_joined() -> None:
    instruction = "Stop at once, lower the load to the quay and call the foreman, who decides."
    rows = [
        ["Wind", "What to do"],
        ["10 m/s", paragraph(instruction)],
        ["15 m/s", paragraph(instruction)],
    ]
    cells = table(rows, ruled=True, colWidths=[80, 150])
    assert text_of(pdf_of(paragraph(SENTENCE), cells)).split("\n")[2:] == [
        "| Wind | What to do |",
        "| --- | --- |",
        f"| 10 m/s | {instruction} |",
        f"| 15 m/s | {instruction} |",
    ]


def test_links_keep_their_targets() -> None:
    content = pdf_of(paragraph('See <a href="https://x.example/a">the page</a>.'))
    assert text_of(content) == "See [the page](https://x.example/a)."


def test_address_on_several_lines_is_one_link() -> None:
    address = f"https://x.example/{'a-very-long/way-to_the-' * 12}page.html"
    text = text_of(pdf_of(paragraph(f'See <a href="{address}">{address}</a>. And <i>so</i> on.')))
    assert text.replace("\\", "") == f"See [{address}]({address}). And so on."


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("user<br/>guide", ["user", "guide"]),
        ("https://x.example/user<br/>guide", ["https://x.example/userguide"]),
        ("www.x.exam<br/>ple/user", ["www.x.example/user"]),
    ],
)
def test_only_an_address_is_joined_without_a_space(shown: str, words: list[str]) -> None:
    link = "https://www.x.example/user?to=https://x.example/userguide"
    links = " ".join(f"[{word}]({link})" for word in words)
    assert text_of(pdf_of(paragraph(f'See <a href="{link}">{shown}</a>.'))) == f"See {links}."


def test_columns_are_read_one_after_the_other() -> None:
    flow = [paragraph(f"Paragraph {n}. {SENTENCE}") for n in range(40)]
    text = text_of(pdf_of(*flow, columns=2))
    places = [text.index(f"Paragraph {n}.") for n in range(40)]
    assert places == sorted(places)
    assert text.count(SENTENCE) == 40


def test_columns_drawn_row_by_row_are_separated() -> None:
    left = [f"left line {n} of the first column" for n in range(12)]
    right = [f"right line {n} of the second column" for n in range(12)]
    text = text_of(drawn_row_by_row(left, right))
    assert " ".join(left) in text
    assert " ".join(right) in text


def test_running_headers_and_footers_are_dropped() -> None:
    flow = [paragraph(f"Part {n}. {SENTENCE}" * 12) for n in range(12)]
    text = text_of(pdf_of(*flow, running="Harbour Works confidential"))
    assert "confidential" not in text
    assert "Page" not in text
    assert text.count(SENTENCE) == 144


def test_sentence_across_a_page_break_is_joined() -> None:
    text = text_of(pdf_of(paragraph("and so on until it ends somewhere else " * 300)))
    assert "\n" not in text
    assert text.count("and so on until it ends somewhere else") == 300


def test_non_latin_scripts_are_read() -> None:
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


def test_hyphenated_word_is_rejoined() -> None:
    lines = b"BT /F1 12 Tf 14 TL 50 700 Td (The crane lifts a con-) ' (tainer at a time.) ' ET"
    assert text_of(one_page(stream(lines))) == "The crane lifts a container at a time."


def test_title_and_modification_date_are_read_from_pdf_metadata() -> None:
    converted = read_pdf(pdf_of(paragraph(SENTENCE), title="Crane manual"), "")
    assert converted.title == "Crane manual"
    assert converted.changed[:2] == "20"
    assert read_pdf(pdf_of(paragraph(SENTENCE)), "").title == ""


def test_pdf_needs_no_password_unless_reading_is_protected() -> None:
    assert text_of(protected("")) == SENTENCE
    with pytest.raises(DocumentError, match="is protected by a password"):
        read_pdf(protected("secret"), "")


def test_scanned_pages_are_refused() -> None:
    with pytest.raises(DocumentError, match=r"contains no text \(a scanned PDF\? run OCR first\)"):
        read_pdf(scanned(2), "")
