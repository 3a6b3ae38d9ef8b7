"""Excel to markdown."""
# The libraries that make the files ship no types.
# mypy: disable-error-code="import-untyped, no-untyped-call"

from datetime import UTC, date, datetime, time

import pytest
from openpyxl import Workbook

from dataset.conversion.office import xlsx
from tests.files.office import saved, xlsx_of
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
