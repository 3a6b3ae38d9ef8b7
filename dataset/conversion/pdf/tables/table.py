"""A table of a PDF, and whether it continues that of the page before."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.tables.regions import Columns
from dataset.markdown.writer import pipe_table

_TOUCH = 3.0
"""Points between two edges of one column."""
_MAX_SEARCHED = 100
"""Rows of a table that are searched for one equal to its head."""


@dataclass(slots=True, eq=False)
class Table:
    """A table; if it is on several pages, its place is that of its last part."""

    rows: list[list[str]]
    columns: Columns
    box: Box
    page: int
    ruled: bool
    headed: bool
    """True if its first row is bold, and another is not."""

    @property
    def markdown(self) -> str:
        """The table in markdown."""
        return pipe_table(self.rows)

    def append(self, part: "Table") -> None:
        """Append the rows of the next page, without the repeated head."""
        self.rows += part.rows[_repeated(part, self) :]
        self.box, self.page = part.box, part.page


def is_headed(rows: Iterable[Sequence[Line]]) -> bool:
    """True if the first of a table's rows is bold, and another is not."""
    bold = [all(line.bold for line in row) for row in rows if row]
    return bold[0] and not all(bold)


def continues(part: Table, table: Table) -> bool:
    """True if the first table of a page has the columns of a table before it, and no other head."""
    headed = part.headed and not _repeated(part, table)
    return part.ruled == table.ruled and not headed and has_same_columns(part, table)


def has_same_columns(one: Table, other: Table) -> bool:
    """True if the columns are aligned: at all their edges if they have rules."""
    same = all if one.ruled else any
    return len(one.columns) == len(other.columns) and all(
        same(_aligned(*pair)) for pair in zip(one.columns, other.columns, strict=True)
    )


def _aligned(one: tuple[float, float], other: tuple[float, float]) -> Iterator[bool]:
    """Yield whether two columns are aligned at the left, in the middle and at the right."""
    for share in (0, 0.5, 1):
        edge, known = (left + share * (right - left) for left, right in (one, other))
        yield abs(edge - known) < _TOUCH


def _repeated(part: Table, table: Table) -> int:
    """The number of rows that repeat a table's head; cells that span others are in a row above."""
    count = 0
    for row, known in zip(part.rows, table.rows, strict=False):
        is_head = row not in table.rows[count + 1 : _MAX_SEARCHED]
        if row != known or not is_head or (count and all(table.rows[count - 1])):
            break
        count += 1
    return count
