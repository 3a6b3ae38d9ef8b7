"""Tables of a PDF that continue on the next page, and tables that only look as if."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

from collections.abc import Sequence

import pytest
from reportlab.platypus import PageBreak, Spacer

from dataset.conversion.pdf.reader import read_pdf
from tests.files.pdf import SENTENCE, paragraph, pdf_of, table

BOLD = [("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")]
HEAD = ["Crane", "Tons", "Note"]


def rows_of_cranes(count: int) -> list[list[str]]:
    return [[f"C{n}", str(7 * n), f"note {n} of it" if n % 3 else ""] for n in range(count)]


def written(*tables: Sequence[Sequence[str]]) -> str:
    """The tables in markdown, with nothing but blank lines between them."""
    shown = []
    for rows in tables:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        shown.append("\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]]))
    return "\n\n".join(shown)


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("style", [BOLD, []], ids=["bold head", "plain head"])
@pytest.mark.parametrize("repeated", [0, 1])
@pytest.mark.parametrize("count", [35, 38, 39, 120])
def test_table_on_several_pages_is_one_table(
    ruled: bool, style: list[object], repeated: int, count: int
) -> None:
    rows = [HEAD, *rows_of_cranes(count)]
    grid = table(rows, ruled=ruled, style=style, repeatRows=repeated)
    text = read_pdf(pdf_of(paragraph(SENTENCE), grid, running="Harbour works"), "").text
    assert written(rows) in text


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("style", [BOLD, []], ids=["bold head", "plain head"])
@pytest.mark.parametrize("repeated", [0, 1])
@pytest.mark.parametrize("gap", [605, 623, 641])
def test_table_with_few_rows_on_its_first_page_is_one_table(
    ruled: bool, style: list[object], repeated: int, gap: float
) -> None:
    rows = [HEAD, *rows_of_cranes(25)]
    grid = table(rows, ruled=ruled, style=style, repeatRows=repeated)
    text = read_pdf(pdf_of(paragraph(SENTENCE), Spacer(1, gap), grid), "").text
    assert text.strip() == f"{SENTENCE}\n\n{written(rows)}"


def test_repeated_head_of_two_rows_is_no_row() -> None:
    head = [["", "Load", ""], ["Crane", "Tons", "Note"]]
    rows = [*head, *rows_of_cranes(60)]
    text = read_pdf(pdf_of(table(rows, ruled=True, repeatRows=2)), "").text
    assert text.strip() == written(rows)


@pytest.mark.parametrize("ruled", [True, False])
def test_row_that_equals_another_is_kept_on_the_next_page(ruled: bool) -> None:
    rows = [HEAD, *[["C1", "7", "same"]] * 80]
    text = read_pdf(pdf_of(table(rows, ruled=ruled)), "").text
    assert text.count("| C1 | 7 | same |") == 80


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize(
    "between",
    [[PageBreak()], [Spacer(1, 330), PageBreak(), paragraph("Others:")]],
    ids=["early end", "text"],
)
def test_table_that_does_not_continue_the_last_one_has_its_own_head(
    ruled: bool, between: list[object]
) -> None:
    first, second = [HEAD, *rows_of_cranes(6)], [["Ship", "Tons", "Note"], *rows_of_cranes(6)]
    flow = [table(first, ruled=ruled), *between, table(second, ruled=ruled)]
    text = read_pdf(pdf_of(*flow), "").text
    assert written(first) in text
    assert written(second) in text


@pytest.mark.parametrize("ruled", [True, False])
def test_bold_head_of_its_own_begins_another_table(ruled: bool) -> None:
    first, second = [HEAD, *rows_of_cranes(36)], [["Ship", "Tons", "Note"], *rows_of_cranes(9)]
    flow = [table(rows, ruled=ruled, style=BOLD) for rows in (first, second)]
    text = read_pdf(pdf_of(flow[0], PageBreak(), flow[1]), "").text
    assert text.strip() == written(first, second)


@pytest.mark.parametrize("ruled", [True, False])
def test_table_of_other_columns_begins_another_table(ruled: bool) -> None:
    first, second = [HEAD, *rows_of_cranes(36)], [["Ship", "Port"], *[["S1", "Oslo"]] * 5]
    flow = [table(first, ruled=ruled), PageBreak(), table(second, ruled=ruled, colWidths=150)]
    text = read_pdf(pdf_of(*flow), "").text
    assert text.strip() == written(first, second)
