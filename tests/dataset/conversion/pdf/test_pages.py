"""PDF pages: turned, with stamps, scanned, with running heads."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped"

from collections.abc import Callable

import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.dataset.conversion.pdf.converted import text_of
from tests.files.pdf import (
    SENTENCE,
    drawn,
    image_at,
    lines_at,
    paragraph,
    pdf_of,
    table,
    turned,
)

WORDS = [f"Sentence {n} states that shard {n} of the ledger expires" for n in range(8)]
DrawPage = Callable[[Canvas], object]


def page_of(*lines: str, head: str = "", foot: str = "") -> DrawPage:
    """A page of text between a running head and foot."""

    def draw(canvas: Canvas) -> None:
        lines_at(canvas, [head], y=800)
        lines_at(canvas, lines)
        lines_at(canvas, [foot], y=30)

    return draw


@pytest.mark.parametrize("stated", [True, False], ids=["rotate entry", "text alone"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_page_is_read_as_an_upright_one(degrees: int, stated: bool) -> None:
    def draw(canvas: Canvas) -> None:
        if stated:
            canvas.setPageRotation(degrees)
        turned(canvas, degrees)
        lines_at(canvas, ["Key rules"], size=20, y=500)
        lines_at(canvas, WORDS, y=460)

    assert text_of(drawn(draw)) == "# Key rules\n\n" + " ".join(WORDS)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_table_and_link_of_a_turned_page_are_read(degrees: int) -> None:
    def draw(canvas: Canvas) -> None:
        turned(canvas, degrees)
        grid = table([["Wind", "Load"], ["10 m/s", "40 t"], ["15 m/s", "30 t"]], ruled=True)
        grid.wrapOn(canvas, 300, 300)
        grid.drawOn(canvas, 60, 400)
        linked = paragraph('See <a href="https://x.example/a">the page</a>.')
        linked.wrapOn(canvas, 300, 300)
        linked.drawOn(canvas, 60, 300)

    assert text_of(drawn(draw)) == (
        "| Wind | Load |\n| --- | --- |\n| 10 m/s | 40 t |\n| 15 m/s | 30 t |\n\n"
        "See [the page](https://x.example/a)."
    )


def test_upright_text_on_a_page_with_a_rotate_entry_is_read() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        lines_at(canvas, WORDS)

    assert text_of(drawn(draw)) == " ".join(WORDS)


@pytest.mark.parametrize("degrees", [90, 270, 45])
def test_stamp_is_neither_heading_nor_break_of_a_sentence(degrees: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.saveState()
        canvas.translate(30, 400)
        canvas.rotate(degrees)
        lines_at(canvas, ["arXiv:2401.01234v1 [cs.DB] 5 Mar 2024"], 0, 0, 20)
        canvas.restoreState()
        lines_at(canvas, ["The sentence is", "not yet at its end,"])

    text = text_of(drawn(draw, page_of("and continues on the next page.")))
    assert text.split("\n\n") == [
        "The sentence is not yet at its end, and continues on the next page.",
        "arXiv:2401.01234v1 [cs.DB] 5 Mar 2024",
    ]


def test_stamp_on_every_page_is_read_once() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, WORDS)
        canvas.translate(30, 300)
        canvas.rotate(90)
        lines_at(canvas, ["Downloaded for the harbour office"], 0, 0)

    assert text_of(drawn(*[draw] * 4)).count("harbour office") == 1


def test_sideways_head_of_a_ruled_table_is_its_head() -> None:
    def draw(canvas: Canvas) -> None:
        lines_at(canvas, WORDS, y=780)
        grid = table([["", ""], ["10 m/s", "40 t"]], ruled=True, rowHeights=[60, 20], colWidths=60)
        grid.wrapOn(canvas, 300, 300)
        grid.drawOn(canvas, 60, 400)
        for words, x in (("Wind", 90), ("Load", 150)):
            canvas.saveState()
            canvas.translate(x, 430)
            canvas.rotate(90)
            lines_at(canvas, [words], 0, 0)
            canvas.restoreState()

    assert text_of(drawn(draw)).endswith("| Wind | Load |\n| --- | --- |\n| 10 m/s | 40 t |")


def test_scanned_page_among_others_is_named() -> None:
    def scan(canvas: Canvas) -> None:
        image_at(canvas, 0, 0, 595, 842)
        lines_at(canvas, ["3"], x=300, y=30)

    def blank(_: Canvas) -> None:
        """Draw nothing."""

    text = text_of(
        drawn(
            page_of("One sentence goes", foot="1"),
            blank,
            scan,
            page_of("on here.", foot="4"),
        )
    )
    assert text == "One sentence goes on here.\n\nPage 3 has no text (scanned?)"


def test_scanned_page_with_a_stamp_is_named_beside_it() -> None:
    def scan(canvas: Canvas) -> None:
        image_at(canvas, 0, 0, 595, 842)
        lines_at(canvas, ["Exhibit 000417"], x=480, y=20)
        canvas.translate(30, 300)
        canvas.rotate(90)
        lines_at(canvas, ["Received"], 0, 0)

    text = text_of(drawn(page_of(*WORDS), scan, page_of("The end.")))
    assert "Exhibit 000417\n\nReceived\n\nPage 2 has no text (scanned?)\n\nThe end." in text


@pytest.mark.parametrize(
    "title", ["Network architecture", "Results of 2024", "Figure 12", "Load of 40 t"]
)
@pytest.mark.parametrize("y", [20, 400, 800])
def test_page_of_an_image_that_has_a_title_has_text(title: str, y: float) -> None:
    def slide(canvas: Canvas) -> None:
        image_at(canvas, 100, 100, 300, 200)
        lines_at(canvas, [title], y=y)

    text = text_of(drawn(page_of(*WORDS), slide, page_of("The end.")))
    assert title in text
    assert "no text" not in text


@pytest.mark.parametrize(
    "stamp", ["7", "Page 7 of 9", "ABC-000417", "Exhibit 0417", "ACME 12345678"]
)
def test_scanned_page_with_a_number_is_named(stamp: str) -> None:
    def scan(canvas: Canvas) -> None:
        image_at(canvas, 0, 0, 595, 842)
        lines_at(canvas, [stamp], x=480, y=20)

    assert "Page 2 has no text" in text_of(drawn(page_of(*WORDS), scan, page_of("The end.")))


@pytest.mark.parametrize(("edge", "inner"), [(815, 795), (30, 50)])
def test_running_row_below_one_that_differs_is_kept_once(edge: float, inner: float) -> None:
    def page(chapter: str) -> DrawPage:
        def draw(canvas: Canvas) -> None:
            lines_at(canvas, [chapter], y=edge, size=8)
            lines_at(canvas, ["The potter's handbook"], y=inner, size=8)
            lines_at(canvas, [f"{word} on {chapter}" for word in WORDS])

        return draw

    chapters = ["kilns", "ash", "glaze", "clay", "water"]
    text = text_of(drawn(*map(page, chapters)))
    assert text.count("handbook") == 1
    assert all(text.count(chapter) == 1 + len(WORDS) for chapter in chapters)


@pytest.mark.parametrize("others", [["Status: open"], []], ids=["other words", "no words"])
def test_row_that_some_pages_have_below_one_that_differs_is_kept(others: list[str]) -> None:
    def page(name: str, *status: str) -> DrawPage:
        def draw(canvas: Canvas) -> None:
            lines_at(canvas, [name], y=815)
            lines_at(canvas, status, y=790)
            lines_at(canvas, [f"{word} of {name}" for word in WORDS])

        return draw

    pages = [page(f"Crane {name}", "Status: closed") for name in ("Ada", "Bea", "Cleo")]
    text = text_of(drawn(*pages, *[page(f"Crane {name}", *others) for name in ("Di", "Eve")]))
    assert text.count("Status: closed") == 3


def test_lines_that_differ_by_a_number_are_not_running_heads() -> None:
    seconds = [30, 90, 45, 60]
    pages = [page_of(*WORDS, head=f"The timeout of queue A is {n} seconds.") for n in seconds]
    text = text_of(drawn(*pages))
    assert all(f"queue A is {n} seconds" in text for n in seconds)


@pytest.mark.parametrize("head", ["Never lift people.", "Maximum load: 40 t"])
def test_repeated_fact_at_the_edge_is_kept_once(head: str) -> None:
    text = text_of(drawn(*[page_of(*WORDS, head=head)] * 4))
    assert text.count(head) == 1


@pytest.mark.parametrize(
    "foot", ["{n}", "- {n} -", "Page {n} of 4", "Harbour manual | {n}", "{n} / 4"]
)
def test_page_number_that_counts_the_pages_is_dropped(foot: str) -> None:
    pages = [page_of(f"Words {n} are", foot=foot.format(n=n + 5)) for n in range(4)]
    assert text_of(drawn(*pages)) == "\n\n".join(f"Words {n} are" for n in range(4))


def test_roman_page_numbers_before_others_are_dropped() -> None:
    numbers = ["iii", "iv", *map(str, range(1, 9))]
    pages = [page_of(f"Words {n} are", foot=n) for n in numbers]
    assert text_of(drawn(*pages)) == "\n\n".join(f"Words {n} are" for n in numbers)


def test_number_at_the_edge_that_counts_nothing_is_kept() -> None:
    pages = [page_of(f"Load of crane {n} in tons:", foot=str(n * n)) for n in range(3, 6)]
    text = text_of(drawn(*pages))
    assert [n for n in ("9", "16", "25") if n in text.split()] == ["9", "16", "25"]


def test_numbers_in_the_cells_of_a_table_at_the_edge_are_kept() -> None:
    def draw(canvas: Canvas) -> None:
        grid = table([["Crane", "Tons"], *([f"C{n}", str(n)] for n in range(40))], ruled=True)
        grid.wrapOn(canvas, 300, 800)
        grid.drawOn(canvas, 60, 20)

    text = text_of(drawn(draw, draw))
    assert all(text.count(f"| C{n} | {n} |") == 2 for n in range(40))


def test_numbers_of_rows_near_the_edge_that_count_as_the_pages_do_are_kept() -> None:
    def page(number: int) -> DrawPage:
        def draw(canvas: Canvas) -> None:
            lines_at(canvas, WORDS)
            for y, name, value in ((60, "Valve", f"{number}"), (36, "Torque", f"{number} Nm")):
                lines_at(canvas, [name], 60, y)
                lines_at(canvas, [value], 200, y)

        return draw

    text = text_of(drawn(*map(page, (1, 2, 3))))
    assert all(text.count(f"Valve {n}") == text.count(f"{n} Nm") == 1 for n in (1, 2, 3))


def test_rows_of_one_table_on_each_page_are_no_running_feet() -> None:
    def page(number: int) -> DrawPage:
        def draw(canvas: Canvas) -> None:
            for at, name in enumerate(("Valve", "Torque", "Sheet")):
                lines_at(canvas, [name], 60, y=100 - 24 * at)
                lines_at(canvas, [str(number + at)], 200, y=100 - 24 * at)

        return draw

    text = text_of(drawn(*map(page, (1, 2, 3))))
    assert all(f"Sheet | {number + 2} |" in text for number in (1, 2, 3))


def test_table_of_contents_is_dropped_and_a_list_of_values_is_not() -> None:
    titles = ["Brakes", "Cables", "Drums", "Engines"]
    contents = [f"{title} {'.' * 40} {at + 2}" for at, title in enumerate(titles)]
    values = [f"Retries {'.' * 40} 5", f"Seconds {'.' * 40} 30", f"Shards {'.' * 40} 64"]
    pages = [page_of(*contents), *(page_of(title, "", SENTENCE) for title in titles)]
    text = text_of(drawn(*pages, page_of(*values)))
    assert text.startswith("Brakes The harbour")
    assert all(value in text for value in values)


def test_running_head_on_two_pages_is_no_break_of_a_sentence() -> None:
    pages = [page_of(words, head="Harbour works") for words in ("The sentence goes", "on here.")]
    assert "The sentence goes on here." in text_of(drawn(*pages))


def test_contents_of_flowing_text_with_running_heads_are_complete() -> None:
    flow = [paragraph(f"Part {n} of it. {SENTENCE}") for n in range(80)]
    text = text_of(pdf_of(*flow, running="Harbour Works"))
    assert [n for n in range(80) if f"Part {n} of it." not in text] == []
