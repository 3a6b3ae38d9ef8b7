"""Tables of a PDF that continue on the next page, and what only looks as if it did."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

from collections.abc import Callable, Sequence

import pytest
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import PageBreak, Spacer

from dataset.conversion.pdf.reader import read_pdf
from tests.files.pdf import SENTENCE, cells_at, drawn, lines_at, paragraph, pdf_of, table

BOLD = [("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold")]
HEAD = ["Crane", "Tons", "Note"]


def rows_of_cranes(count: int) -> list[list[str]]:
    return [[f"C{n}", str(7 * n), f"note {n} of it" if n % 3 else ""] for n in range(count)]


def words_of(rows: Sequence[Sequence[str]]) -> list[str]:
    return " ".join(cell for row in rows for cell in row).split()


def words_in(text: str, without: Sequence[str] = ()) -> list[str]:
    """The words of a text in markdown."""
    return [word for word in text.split() if word not in ("|", "---", "#", *without)]


def written(*tables: Sequence[Sequence[str]]) -> str:
    """The tables in markdown, with nothing but blank lines between them."""
    shown = []
    for rows in tables:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        shown.append("\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]]))
    return "\n\n".join(shown)


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize("count", [38, 39, 120])
def test_table_that_repeats_its_bold_head_on_each_page_is_one_table(
    ruled: bool, count: int
) -> None:
    rows = [HEAD, *rows_of_cranes(count)]
    grid = table(rows, ruled=ruled, style=BOLD, repeatRows=1)
    text = read_pdf(pdf_of(paragraph(SENTENCE), grid, running="Harbour works"), "").text
    assert text.count("| Crane | Tons | Note |") == 1
    assert written(rows) in text


def test_repeated_head_of_two_bold_rows_is_no_row() -> None:
    rows = [["", "Load", ""], HEAD, *rows_of_cranes(60)]
    bold = [("FONTNAME", (0, 0), (-1, 1), "Helvetica-Bold")]
    text = read_pdf(pdf_of(table(rows, ruled=True, style=bold, repeatRows=2)), "").text
    assert text.strip() == written(rows)


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize(
    ("style", "repeated"), [(BOLD, 0), ([], 0), ([], 1)], ids=["bold", "plain", "plain repeated"]
)
@pytest.mark.parametrize("gap", [0, 623])
def test_rows_on_a_page_without_a_bold_head_are_complete_and_in_order(
    ruled: bool, style: list[object], repeated: int, gap: float
) -> None:
    rows = rows_of_cranes(60)
    grid = table([HEAD, *rows], ruled=ruled, style=style, repeatRows=repeated)
    text = read_pdf(pdf_of(paragraph(SENTENCE), Spacer(1, gap), grid), "").text
    assert words_in(text.replace(SENTENCE, ""), without=HEAD) == words_of(rows)


@pytest.mark.parametrize("style", [BOLD, []], ids=["bold head", "plain head"])
@pytest.mark.parametrize("lines", [5, 38])
def test_columns_of_prose_below_or_above_a_page_break_are_no_rows(
    style: list[object], lines: int
) -> None:
    prose = [[f"the {name} crane lifts load {n}" for n in range(lines)] for name in ("old", "new")]
    rows = [["Parameter", "Meaning"], *[[f"p{n}", f"meaning {n}"] for n in range(5)]]
    grid = table(rows, ruled=False, style=style, colWidths=254)

    def page(*, table_at: float | None) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            for column, x in zip(prose, (56, 310), strict=True):
                lines_at(canvas, column, x, 630, 10)
            if table_at is not None:
                grid.wrapOn(canvas, 600, 800)
                grid.drawOn(canvas, 50, table_at)

        return draw

    for pages in (
        (page(table_at=10), page(table_at=None)),
        (page(table_at=None), page(table_at=680)),
    ):
        text = read_pdf(drawn(*pages), "").text
        assert written(rows) in text
        assert text.count("|\n") == len(rows) + 1
        assert all(text.count(f"{line} ") + text.count(f"{line}\n") == 2
                   for column in prose for line in column)  # fmt: skip


@pytest.mark.parametrize(
    "below",
    [
        [["4", "Deployment of models"]],
        [["5.", "Open the console."], ["6.", "Choose the role."], ["7.", "Press the button."]],
        [["Code", "Reason"], ["7", "lost"], ["8", "found"], ["9", "kept"]],
    ],
    ids=["heading", "steps", "table"],
)
def test_what_begins_the_next_page_in_the_same_columns_is_no_row(
    below: list[list[str]],
) -> None:
    rows = [["No", "Value"], *[[str(n), f"thing {n}"] for n in range(1, 5)]]
    places = (72.0, 108.0)

    def first(canvas: Canvas) -> None:
        canvas.translate(0, -450)
        cells_at(canvas, rows, places, "ll", 20)

    def second(canvas: Canvas) -> None:
        cells_at(canvas, below, places, "ll", 20, bold_head=False)

    text = read_pdf(drawn(first, second), "").text
    assert text.startswith(f"{written(rows)}\n\n")
    assert words_in(text) == words_of([*rows, *below])


@pytest.mark.parametrize("ruled", [True, False])
@pytest.mark.parametrize(
    "first", [["start", "0", "no"], ["", "Low", "High"]], ids=["row", "empty corner"]
)
def test_first_row_that_is_repeated_and_no_bold_head_is_kept(first: list[str], ruled: bool) -> None:
    parts = [[first, *[[f"run {n}", str(7 * n + at), "yes"] for n in range(30)]] for at in (0, 1)]
    flow = [table(rows, ruled=ruled) for rows in parts]
    text = read_pdf(pdf_of(flow[0], PageBreak(), flow[1]), "").text
    assert text.strip() == written(*parts)


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
