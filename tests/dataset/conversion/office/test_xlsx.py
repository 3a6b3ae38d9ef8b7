"""Excel to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

import re
from datetime import UTC, date, datetime, time

import pytest
from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.chart import BarChart, Reference

from dataset.conversion.office import xlsx
from tests.files.hostile import part_of, repacked
from tests.files.office import saved, xlsx_of
from tests.files.word import NAMESPACES, strict
from utils.errors import DocumentError


def test_each_sheet_is_a_heading_and_each_block_of_cells_a_table() -> None:
    book = Workbook()
    sheet = book.active
    sheet.title = "Limits"
    for row in (
        ["Loads of 2026"],
        ["Wind", "Load", "When", "At", "Both", "Safe"],
        [10, 40.5, date(2026, 1, 2), time(3, 4), datetime(2026, 1, 2, 3, 4), True],
        [],
        [None, "Name", "Note"],
        [None, "a|b", "one\ntwo"],
    ):
        sheet.append(row)
    hidden = book.create_sheet("Secret")
    hidden.append(["hidden"])
    hidden.sheet_state = "hidden"
    book.create_sheet("Empty")
    converted = xlsx.read_xlsx(saved(book), "")
    assert converted.changed[:4] == str(datetime.now(UTC).year)
    assert converted.text.strip().split("\n\n") == [
        "## Limits",
        "Loads of 2026",
        "| Wind | Load | When | At | Both | Safe |\n| --- | --- | --- | --- | --- | --- |\n"
        "| 10 | 40.5 | 2026-01-02 | 03:04:00 | 2026-01-02 03:04 | TRUE |",
        "| Name | Note |\n| --- | --- |\n| a\\|b | one<br>two |",
    ]


def test_sheet_with_too_many_columns_is_refused() -> None:
    with pytest.raises(DocumentError, match="1,000 columns"):
        xlsx.read_xlsx(xlsx_of([range(1001)]), "")


def text_of(cells: dict[str, object], *merged: str) -> str:
    """The text of a workbook of one sheet with these cells."""
    book = Workbook()
    for name, value in cells.items():
        book.active[name] = value
    for cells_merged in merged:
        book.active.merge_cells(cells_merged)
    text = xlsx.read_xlsx(saved(book), "").text
    return text.removeprefix("## Sheet\n\n").strip()


PLANS = {"A1": "Plan", "B1": "Seats", "A2": "small", "B2": 3, "A3": "large", "B3": 9}
PLANS_TABLE = "| Plan | Seats |\n| --- | --- |\n| small | 3 |\n| large | 9 |"
REGIONS_TABLE = "| Region | Port |\n| --- | --- |\n| Oslo | 1 |\n| Lima | 2 |"


@pytest.mark.parametrize("name", ["XFD1048576", "AAA9000", "A1048576", "D600000"])
def test_stray_cell_far_away_is_a_text_of_its_own(name: str) -> None:
    assert text_of({**PLANS, name: "stray"}) == f"{PLANS_TABLE}\n\nstray"


def test_stray_cell_far_to_the_right_adds_one_column() -> None:
    assert text_of({**PLANS, "XFD2": "stray"}) == (
        "| Plan | Seats |  |\n| --- | --- | --- |\n| small | 3 | stray |\n| large | 9 |  |"
    )


def test_far_table_keeps_its_columns_and_merged_cells() -> None:
    far = {"ZZ900000": "Plan", "AAA900000": "Limit", "ZZ900001": "small"}
    limits = {"AAA900001": "3 seats", "AAA900002": "4 GB"}
    assert text_of({**PLANS, **far, **limits}, "ZZ900001:ZZ900002", "A5:B9") == (
        f"{PLANS_TABLE}\n\n| Plan | Limit |\n| --- | --- |\n| small | 3 seats |\n| small | 4 GB |"
    )


def test_merged_cell_counts_in_each_row_that_it_spans() -> None:
    cells = {"A1": "Plan", "B1": "Limit", "A2": "small", "B2": "3 seats", "B3": "4 GB"}
    note = {"A6": "Valid for all regions."}
    assert text_of({**cells, **note}, "A2:A4", "A6:F9") == (
        "| Plan | Limit |\n| --- | --- |\n| small | 3 seats |\n| small | 4 GB |"
        "\n\nValid for all regions."
    )


def test_tables_side_by_side_are_two_tables() -> None:
    regions = {"D1": "Region", "E1": "Port", "D2": "Oslo", "E2": 1, "D3": "Lima", "E3": 2}
    assert text_of({**PLANS, **regions}) == f"{PLANS_TABLE}\n\n{REGIONS_TABLE}"


def test_tables_side_by_side_may_differ_in_height_and_have_titles() -> None:
    plans = {f"{name[0]}{int(name[1]) + 1}": value for name, value in PLANS.items()}
    regions = {"E2": "Regions", "E3": "Region", "F3": "Port", "E4": "Oslo", "F4": 1, "E5": "Lima"}
    assert text_of({"A1": "Plans", **plans, **regions, "F5": 2, "E7": "Rome"}) == (
        f"Plans\n\n{PLANS_TABLE}\n\nRegions\n\n{REGIONS_TABLE}\n\nRome"
    )


def test_empty_column_between_labels_and_values_does_not_part_them() -> None:
    cells = {"A1": "Item", "C1": 2024, "D1": 2025, "A2": "Rent", "C2": 1, "D2": 2}
    assert text_of(cells) == "| Item | 2024 | 2025 |\n| --- | --- | --- |\n| Rent | 1 | 2 |"
    cells = {"A1": "Item", "B1": "Unit", "D1": 2024, "E1": 2025, "A2": "Rent", "B2": "EUR"}
    table = text_of({**cells, "D2": 1, "E2": 2})
    assert table.splitlines()[-1] == "| Rent | EUR | 1 | 2 |"


def test_raised_and_lowered_characters_keep_their_meaning() -> None:
    up, down = InlineFont(vertAlign="superscript"), InlineFont(vertAlign="subscript")
    power = CellRichText("2", TextBlock(up, "3"), TextBlock(up, "2"), " rows")
    index = CellRichText("x", TextBlock(down, "max"), " of H", TextBlock(down, "2"), "O")
    assert text_of({"A1": power, "B1": index, "A2": "plain"}) == (
        "| 2^32 rows | x_max of H2O |\n| --- | --- |\n| plain |  |"
    )


def test_text_boxes_follow_the_tables_of_their_sheet() -> None:
    book = Workbook()
    book.active.append(["Plan", "Seats"])
    chart = BarChart()
    chart.add_data(Reference(book.active, min_col=2, min_row=1))
    book.active.add_chart(chart, "D1")
    package = saved(book)
    words = "<a:p><a:r><a:t>{}</a:t></a:r></a:p>"
    choices = f"<mc:Choice>{words.format('At most 9.')}</mc:Choice><mc:Fallback>"
    choices += f"{words.format('Old programs read this.')}</mc:Fallback>"
    box = f"<x {NAMESPACES}><mc:AlternateContent>{choices}</mc:AlternateContent></x>"
    package = repacked(package, {"xl/drawings/drawing1.xml": box.encode()})
    table = "| Plan | Seats |\n| --- | --- |"
    assert xlsx.read_xlsx(package, "").text == f"## Sheet\n\n{table}\n\nAt most 9.\n"


def test_strict_open_xml_is_read() -> None:
    package = strict(xlsx_of([["When"], [date(2026, 1, 2)]]))
    assert xlsx.read_xlsx(package, "").text == "## Sheet\n\n| When |\n| --- |\n| 2026-01-02 |\n"
    name = "xl/worksheets/sheet1.xml"
    dated = re.sub(
        rb'<c r="A2"[^>]*>.*?</c>', b'<c r="A2" t="d"><v>2026-01-02</v></c>', part_of(package, name)
    )
    assert "| 2026-01-02 |\n" in xlsx.read_xlsx(repacked(package, {name: dated}), "").text
