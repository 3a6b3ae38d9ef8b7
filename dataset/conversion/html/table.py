"""Converts HTML tables to pipe tables."""

import re
from collections.abc import Callable, Sequence

from dataset.conversion.html.element import Element
from dataset.markdown.writer import block_cell, check_table_size, escape, pipe_table

_MAX_SPANS = {"rowspan": 65_534, "colspan": 1000}
"""The limits of the HTML standard."""
_ICON = re.compile(
    r"(?:fa|bi|glyphicon|icon|lucide|mdi)-(?:circle-|square-)?"
    r"(?:(?P<yes>check(?:-?mark)?|tick)|times|xmark|cross)(?:-(?:circle|square|fill|lg|o))*"
)
"""Icons without a label, in the sets of common design systems."""
_PARTS = ("thead", "tbody", "tfoot")
_HEADINGS = ("h1", "h2", "h3")


def is_layout(table: Element) -> bool:
    """True if a table only lays out parts of the page."""
    if table.get("role") in ("presentation", "none") or table.find("table", *_HEADINGS):
        return True
    rows = _rows(table)
    # An icon may stand beside the text of a note, but not below the head of a column.
    with_images = table.find("th") is not None
    filled = (sum(_is_filled(cell, with_images) for cell in _cells(row)) for row in rows)
    if max(filled, default=0) < 2:
        return True
    # Code may stand beside its line numbers, and a cell would join its lines.
    return any(below.tag == "pre" and "\n" in below.text().strip() for below in table.walk())


def _is_filled(cell: Element, with_images: bool) -> bool:
    if cell.words():
        return True
    return with_images and any(below.get("alt").strip() for below in cell.walk())


def table_blocks(element: Element, write: Callable[[Element], list[str]]) -> list[str]:
    """Convert a table to blocks: its caption and its rows; `write` converts a cell."""
    rows, head_rows = _rows(element), 0
    for row in rows:
        cells = _cells(row)
        in_head = row.parent is not None and row.parent.tag == "thead"
        if not in_head and not (cells and all(cell.tag == "th" for cell in cells)):
            break
        head_rows += 1
    grid = _grid(rows, lambda cell: block_cell(write(cell)) or _icons(cell))
    caption = element.find("caption")
    blocks = write(caption) if caption else []
    return [*blocks, pipe_table(grid, head_rows)] if any(any(row) for row in grid) else blocks


def _rows(element: Element) -> list[Element]:
    rows: list[Element] = []
    for child in element.elements():
        if child.tag == "tr":
            rows.append(child)
        elif child.tag in _PARTS:
            rows += [row for row in child.elements() if row.tag == "tr"]
    return rows


def _cells(row: Element) -> list[Element]:
    return [cell for cell in row.elements() if cell.tag in ("td", "th")]


def _icons(cell: Element) -> str:
    """What the icons in a cell without text show, by their labels or else their classes."""
    shown: list[str] = []
    for below in cell.walk():
        if below.tag not in ("i", "svg", "span"):
            continue
        title = below.get("title") if below.tag != "span" else ""
        icon = next(filter(None, map(_ICON.fullmatch, below.classes())), None)
        sign = "" if icon is None else "✓" if icon["yes"] else "✗"
        shown.append(" ".join((below.get("aria-label") or title).split()) or sign)
    return escape(" ".join(filter(None, shown)))


def _grid(rows: Sequence[Element], text_of: Callable[[Element], str]) -> list[list[str]]:
    """Arrange cells in rows and columns; a cell that spans rows is repeated in each."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}
    count = 0
    for row in rows:
        line: list[str] = []
        for cell in (*_cells(row), None):
            # Repeat the cells that span this row, before each of its own and after the last.
            while len(line) in hanging:
                left, text = hanging.pop(len(line))
                if left > 1:
                    hanging[len(line)] = (left - 1, text)
                line.append(text)
            if cell is None:
                break
            text = text_of(cell)
            rows_spanned, columns = _span(cell, "rowspan"), _span(cell, "colspan")
            for at in range(columns):
                shown = text if at == 0 else ""
                if rows_spanned > 1:
                    hanging[len(line)] = (rows_spanned - 1, shown)
                line.append(shown)
        count += len(line)
        check_table_size(len(line), count)
        grid.append(line)
    return grid


def _span(cell: Element, name: str) -> int:
    value = cell.get(name)
    if not (value.isascii() and value.isdigit()):
        return 1
    return min(int(value[:9]), _MAX_SPANS[name]) or 1
