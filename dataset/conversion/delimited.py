"""Converts CSV and TSV to a pipe table; formulas are kept as text."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dataset.conversion.error_texts import NO_TEXT, unreadable
from dataset.conversion.plain_text import decode_text
from dataset.conversion.result import Converted
from dataset.markdown.writer import (
    check_table_size,
    escape,
    escape_line_starts,
    pipe_table,
    text_cell,
)
from utils.errors import DocumentError

_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"
"""For files of a single column: a character that text does not contain."""
_SEPARATOR_LINE = re.compile(r'\A"?sep=(.)"?[ \t]*(?:\n|\Z)', re.IGNORECASE)
"""The first line by which Excel learns the delimiter."""
_LEADING_LINE = re.compile(r"[ \t]*(?:(?P<mark>#|//|%|;)(?P<words>[^\n]*))?(?:\n|\Z)")
_LEADING_LINES = re.compile(r"(?:[ \t]*(?:(?:#|//|%|;)[^\n]*)?\n)*")
"""Lines that are blank or start like a comment."""
_NUMBER = re.compile(r"[-+]?\d[\d.,eE+-]*")
_ESCAPED_QUOTE = re.compile(r"""\\"(?=[^\s,;|]|"")""")
_SAMPLE_LINES = 50
_MAX_SAMPLE_CHARACTERS = 1 << 16
_MAX_CELL_MIB = 1


@dataclass(frozen=True, slots=True)
class _Dialect:
    delimiter: str
    backslash: bool
    """True if quotes within quotes are written `\\"`."""

    def rows(self, text: str) -> Iterator[list[str]]:
        if self.backslash:
            text = text.replace('\\"', '""')
        lines = io.StringIO(text, newline="")
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True)

    def first_row(self, text: str) -> list[str]:
        """The cells of the first row, without the empty ones at its end."""
        try:
            row = next(self.rows(text), [])
        except csv.Error:
            return []
        return row[: max((at for at, cell in enumerate(row, 1) if cell.strip()), default=0)]


def read_delimited(content: bytes, _: str) -> Converted:
    """Convert a file to one table, with its first row as the header and comments above it."""
    text = decode_text(content)
    separator = _SEPARATOR_LINE.match(text)
    text = text[separator.end() :] if separator else text
    csv.field_size_limit(_MAX_CELL_MIB << 20)
    comments, text, dialect = _split_comments(text, separator[1] if separator else "")
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in dialect.rows(text):
            cells += len(row)
            check_table_size(len(row), cells)
            rows.append(row)
    except csv.Error as error:
        too_large = f"contains a cell of more than {_MAX_CELL_MIB} MiB, or an unclosed quote"
        reason = too_large if "field larger" in str(error) else unreadable("csv")
        raise DocumentError(reason) from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    blocks = [escape_line_starts(escape(comment)) for comment in comments]
    if rows:
        blocks.append(pipe_table([[text_cell(value) for value in row] for row in rows]))
    if not blocks:
        raise DocumentError(NO_TEXT)
    return Converted("\n\n".join(blocks) + "\n")


def _split_comments(text: str, delimiter: str) -> tuple[list[str], str, _Dialect]:
    """Separate the comments before the header; also returns the dialect of the rest."""
    leading = _LEADING_LINES.match(text)
    end = leading.end() if leading else 0
    dialect = _dialect(text[end:] if text[end:].strip() else text, delimiter)
    below = dialect.first_row(text[end:])
    comments: list[str] = []
    at = 0
    for line in _LEADING_LINE.finditer(text, 0, end):
        if line["mark"] and not _is_comment(line, dialect, below, is_last=line.end() == end):
            break
        comments.append((line["words"] or "").lstrip(line["mark"]).strip())
        at = line.end()
    return [comment for comment in comments if comment], text[at:], dialect


def _is_comment(
    line: re.Match[str], dialect: _Dialect, below: Sequence[str], *, is_last: bool
) -> bool:
    """True for a comment; False where the line may be a row, which then keeps all of it.

    A row has as many cells as the one `below`. A `#` or `//` and a space start a comment even so,
    unless the line names the columns of a table of numbers.
    """
    cells = len(dialect.first_row(line[0]))
    if cells < len(below):
        return line["mark"] != dialect.delimiter and not line["words"][:1].isdigit()
    is_header = is_last and cells == len(below) and any(map(_NUMBER.fullmatch, below))
    return (
        line["mark"] in ("#", "//") and not line["words"].strip("#")[:1].strip() and not is_header
    )


def _dialect(text: str, delimiter: str) -> _Dialect:
    """The dialect by which most of the first lines have the same number of columns."""
    sample = "\n".join(text[:_MAX_SAMPLE_CHARACTERS].split("\n")[:_SAMPLE_LINES])
    backslash = _ESCAPED_QUOTE.search(sample) is not None
    known = [_Dialect(mark, backslash) for mark in delimiter or _DELIMITERS]
    best = max(known, key=lambda dialect: _consistency(dialect, sample))
    if delimiter or _consistency(best, sample) > (0, 0):
        return best
    return _Dialect(_NO_DELIMITER, backslash)


def _consistency(dialect: _Dialect, sample: str) -> tuple[int, int]:
    """The number of rows of the most common width, and that width; zeros for a single column."""
    try:
        rows = [row for row in dialect.rows(sample) if row]
    except csv.Error:
        return 0, 0
    widths = [len(row) for row in rows]
    width = max(set(widths), key=widths.count, default=1)
    mark = dialect.delimiter
    # Below a header of one column, commas are those of sentences and numbers.
    others = len(re.findall(rf"{re.escape(mark)} |(?<=\d){re.escape(mark)}(?=\d{{3}}\b)", sample))
    is_prose = widths[:1] == [1] and sample.count(mark) == others
    return (0, 0) if width == 1 or is_prose else (widths.count(width), width)
