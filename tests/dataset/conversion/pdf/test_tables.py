"""Tables of a PDF without rules: cells of many layouts, and text that is no table."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

import re
from collections.abc import Sequence
from typing import Literal

import pytest
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Spacer

from dataset.conversion.pdf.reader import read_pdf
from tests.files.pdf import (
    SENTENCE,
    cells_at,
    drawn,
    lines_at,
    paragraph,
    pdf_of,
    plotted_table,
    table,
)

ROWS = [
    ["Instance", "Cores", "Memory", "Price"],
    ["m5.large", "2", "8 GiB", "0.115"],
    ["m5.xlarge", "4", "16 GiB", "0.230"],
    ["c5.2xlarge", "8", "16 GiB", "0.408"],
]
OPTIONS = [
    ["Option", "Type", "What it does"],
    ["retries", "int", "How often the agent asks\nthe ledger again."],
    ["timeout", "float", "Seconds of one request,\nwith the handshake and\nthe name resolution."],
    ["shard", "str", "Where it writes."],
]
HEADS = [["Name", "Maximum\nretries", "Time\nlimit"], ["alpha", "12", "30"], ["beta", "3", "60"]]
HEADS += [["gamma", "128", "90"]]
GAPS = [["Flag", "Default", "Since"], ["--dry-run", "", "1.0"], ["--shard", "5", ""]]
GAPS += [["--verbose", "off", "3.2"]]
PLACES = (60.0, 200.0, 330.0, 430.0)


def cells_in(content: bytes) -> list[list[str]]:
    """The cells of all tables in the text of a PDF."""
    rows = [line for line in read_pdf(content, "").text.split("\n") if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [row for row in cells if set(row) != {"---"}]


def flat(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Cells with their lines joined."""
    return [[cell.replace("\n", " ") for cell in row] for row in rows]


@pytest.mark.parametrize(
    "rows", [ROWS, OPTIONS, HEADS, GAPS], ids=["short", "wrapped", "head", "gaps"]
)
@pytest.mark.parametrize("vertical", ["TOP", "MIDDLE", "BOTTOM"])
@pytest.mark.parametrize("horizontal", ["LEFT", "CENTER", "RIGHT"])
def test_table_of_a_document_generator_keeps_its_cells(
    rows: list[list[str]], vertical: str, horizontal: str
) -> None:
    styles = [("VALIGN", (0, 0), (-1, -1), vertical), ("ALIGN", (1, 1), (-1, -1), horizontal)]
    grid = table(rows, ruled=False, style=styles)
    flow = [paragraph(SENTENCE), Spacer(1, 14), grid, Spacer(1, 14), paragraph(SENTENCE)]
    assert cells_in(pdf_of(*flow)) == flat(rows)


@pytest.mark.parametrize(
    "rows", [ROWS, OPTIONS, HEADS, GAPS], ids=["short", "wrapped", "head", "gaps"]
)
@pytest.mark.parametrize("alignments", ["llll", "lrrr", "lccc"])
@pytest.mark.parametrize("pitch", [20, 36])
def test_cells_drawn_one_by_one_keep_their_rows(
    rows: list[list[str]], alignments: str, pitch: float
) -> None:
    content = drawn(lambda canvas: cells_at(canvas, rows, PLACES, alignments, pitch))
    assert cells_in(content) == flat(rows)


@pytest.mark.parametrize("rows", [ROWS, GAPS], ids=["short", "gaps"])
def test_single_spaced_rows_are_not_joined(rows: list[list[str]]) -> None:
    content = drawn(lambda canvas: cells_at(canvas, rows, PLACES, "llll", 12))
    assert cells_in(content) == flat(rows)


def test_cells_drawn_column_by_column_keep_their_rows() -> None:
    content = drawn(lambda canvas: cells_at(canvas, ROWS, PLACES, "llll", 14, by_column=True))
    assert cells_in(content) == ROWS


@pytest.mark.parametrize("edges", ["open", "horizontal", "closed"])
@pytest.mark.parametrize("alignment", ["left", "center", "right"])
def test_table_of_a_plotting_library_keeps_its_cells(
    edges: Literal["open", "horizontal", "closed"], alignment: Literal["left", "center", "right"]
) -> None:
    assert cells_in(plotted_table(ROWS, edges, alignment)) == ROWS


def test_table_beside_lines_of_code_keeps_the_columns_of_the_code() -> None:
    content = drawn(
        lambda canvas: cells_at(canvas, ROWS[:3], PLACES, "llll", 12, font="Courier", size=10)
    )
    lines = read_pdf(content, "").text.strip().split("\n")[1:-1]
    assert [line.split() for line in lines] == [" ".join(row).split() for row in ROWS[:3]]
    assert len({line.index(row[1], 10) for line, row in zip(lines, ROWS, strict=False)}) == 1


COLUMNS = [
    [f"{'and' if at % 2 else 'the'} crane lifts one load of {name}" for at in range(9)]
    for name in ("steel", "grain", "coal")
]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("by_column", [True, False])
def test_columns_of_prose_are_no_table_and_are_read_in_order(
    count: int, *, by_column: bool
) -> None:
    rows = [list(row) for row in zip(*COLUMNS[:count], strict=True)]
    places = (40.0, 220.0, 400.0)
    content = drawn(
        lambda canvas: cells_at(
            canvas, rows, places, "lll", 12, by_column=by_column, size=9, bold_head=False
        )
    )
    text = read_pdf(content, "").text
    assert cells_in(content) == []
    assert [" ".join(column) in " ".join(text.split()) for column in COLUMNS[:count]] == [
        True
    ] * count


@pytest.mark.parametrize("table_first", [True, False])
def test_table_beside_a_column_of_prose_has_none_of_it(*, table_first: bool) -> None:
    prose = COLUMNS[0] * 2

    def draw(canvas: Canvas) -> None:
        left, right = (40.0, 300.0) if table_first else (300.0, 40.0)
        if not table_first:
            lines_at(canvas, prose, right, 700, 10)
        places = [left + width for width in (0, 80, 130, 190)]
        cells_at(canvas, ROWS, places, "llll", 12)
        if table_first:
            lines_at(canvas, prose, right, 700, 10)

    content = drawn(draw)
    assert cells_in(content) == ROWS
    assert " ".join(prose) in " ".join(read_pdf(content, "").text.split())


def test_text_between_two_tables_stays_between_them() -> None:
    def draw(canvas: Canvas) -> None:
        cells_at(canvas, ROWS, PLACES, "llll", 20)
        lines_at(canvas, [SENTENCE[:80]], y=590, size=10)
        canvas.translate(0, -150)
        cells_at(canvas, GAPS, PLACES, "llll", 20)

    text = read_pdf(drawn(draw), "").text
    assert [text.index(word) for word in ("m5.large", SENTENCE[:80], "--shard")] == sorted(
        text.index(word) for word in ("m5.large", SENTENCE[:80], "--shard")
    )


def test_columns_of_list_items_are_no_table() -> None:
    flow = [paragraph(f"• item {n}") for n in range(100)]
    content = pdf_of(*flow, columns=2)
    assert cells_in(content) == []


def test_paragraph_below_a_table_is_no_part_of_a_cell() -> None:
    def draw(canvas: Canvas) -> None:
        cells_at(canvas, ROWS, PLACES, "llll", 20)
        lines_at(canvas, ["See below."], y=700 - 4 * 20, size=10)

    content = drawn(draw)
    assert cells_in(content) == ROWS
    assert read_pdf(content, "").text.endswith("\n\nSee below.\n")


def test_rows_of_a_ruled_table_that_a_page_break_divides_are_rows() -> None:
    rows = [["Port", "Use"], ["9042", "Queries"], ["7000 is closed", ""]]
    for gap in (655, 637):
        merged = [("SPAN", (0, 2), (1, 2))]
        text = read_pdf(pdf_of(Spacer(1, gap), table(rows, ruled=True, style=merged)), "").text
        assert "| Port | Use |\n" in text
        assert "| 9042 | Queries |\n" in text
        assert "| 7000 is closed |" in text


def test_columns_of_text_in_a_frame_are_no_row() -> None:
    cells = [[paragraph(f"{SENTENCE} " * 6), paragraph(f"{SENTENCE} " * 6)]]
    text = read_pdf(pdf_of(table(cells, ruled=True, colWidths=[200, 200])), "").text
    assert "|" not in text
