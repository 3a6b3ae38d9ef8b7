"""Converts CSV and TSV to a pipe table; formulas are kept as text."""

import codecs
import csv
import io

from dataset.conversion.error_texts import NO_TEXT, unreadable
from dataset.conversion.plain_text import decode_text
from dataset.conversion.result import Converted
from dataset.markdown.writer import check_table_size, pipe_table, text_cell
from utils.errors import DocumentError

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 50
_MAX_SAMPLE_CHARACTERS = 1 << 16
_MAX_CELL_MIB = 1
_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read_delimited(content: bytes, _: str) -> Converted:
    """Convert a file to one table, with its first row as the header."""
    text = decode_text(content, _UTF_16.get(content[:2], "utf-8-sig"))
    csv.field_size_limit(_MAX_CELL_MIB << 20)
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)):
            cells += len(row)
            check_table_size(len(row), cells)
            rows.append([text_cell(value) for value in row])
    except csv.Error as error:
        too_large = f"contains a cell of more than {_MAX_CELL_MIB} MiB, or an unclosed quote"
        reason = too_large if "field larger" in str(error) else unreadable("csv")
        raise DocumentError(reason) from error
    rows = [row for row in rows if any(row)]
    if not rows:
        raise DocumentError(NO_TEXT)
    return Converted(pipe_table(rows) + "\n")


def _delimiter(text: str) -> str:
    """The delimiter that splits the most of the first lines into the same number of columns."""
    sample = text[:_MAX_SAMPLE_CHARACTERS].splitlines()[:_SAMPLE_LINES]

    def consistency(delimiter: str) -> tuple[int, int]:
        """The number of rows of the most common width, and that width."""
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if row]
        except csv.Error:
            return 0, 0
        width = max(set(widths), key=widths.count, default=1)
        return (widths.count(width), width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=consistency)
