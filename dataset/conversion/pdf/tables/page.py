"""Replaces the lines of the tables on a PDF page by the tables."""

from collections.abc import Sequence
from itertools import groupby

from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.sheets import Sheet
from dataset.conversion.pdf.tables.aligned import with_aligned_tables
from dataset.conversion.pdf.tables.ruled import with_ruled_tables
from dataset.conversion.pdf.tables.table import Table


def with_tables(
    sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner, before: Line | Table | None = None
) -> list[Line | Table]:
    """A page's lines in order, with the lines of tables replaced by the tables.

    `before` is the last item of the page before: a table that may continue.
    """
    ruled = with_ruled_tables(sheet.rules, lines, joiner, before)
    found: list[Line | Table] = []
    for _, run in groupby(ruled, type):
        items = list(run)
        lines = [item for item in items if isinstance(item, Line)]
        found += with_aligned_tables(lines, joiner) if lines else items
    return found
