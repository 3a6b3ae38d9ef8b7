"""A table of a PDF, and whether it continues that of the page before."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.tables.regions import Columns
from dataset.markdown.writer import pipe_table

_TOUCH = 3.0
"""Points between two edges of one column."""


@dataclass(slots=True, eq=False)
class Table:
    """A table; if it is on several pages, its place is that of its last part."""

    rows: list[list[str]]
    columns: Columns
    box: Box
    page: int
    ruled: bool
    head: int
    """The number of its first rows that are bold; 0 if all rows are."""

    @property
    def markdown(self) -> str:
        """The table in markdown."""
        return pipe_table(self.rows)

    def is_continued_by(self, part: "Table") -> bool:
        """True if a table of the next page has the same columns and repeats the bold head."""
        repeats = part.head > 0 and part.rows[: part.head] == self.rows[: self.head]
        return repeats and part.ruled == self.ruled and _has_same_columns(part, self)

    def append(self, part: "Table") -> None:
        """Append the rows of the next page, without the repeated head."""
        self.rows += part.rows[part.head :]
        self.box, self.page = part.box, part.page


def head_rows(rows: Iterable[Sequence[Line]]) -> int:
    """The number of a table's first rows that are bold; 0 if all rows are."""
    bold = [all(line.bold for line in row) for row in rows if row]
    return 0 if all(bold) else len(list(takewhile(bool, bold)))


def _has_same_columns(one: Table, other: Table) -> bool:
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
