"""A small model of a document, from which a sample file of each format is written.

Every word and number in it is unique, so that what a reader lost, altered or moved can be named.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Mark = Literal["plain", "emphasis", "strong", "code", "link", "superscript", "subscript"]
"""How a piece is set."""
Feature = Literal[
    "emphasis", "strong", "code", "link", "raised", "lowered", "split word", "note", "noted number",
    "heading", "list", "quote", "code block", "table", "merged cells",
]  # fmt: skip
"""What a document may contain beside paragraphs; each format's writer names what it can express."""
ALL_FEATURES: frozenset[Feature] = frozenset(get_args(Feature))
ADDRESS = "https://docs.example/page"
UNSEEN = "unseen"
"""What the writers put where a person does not see it, or that is no part of the content."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text set in one way; between two pieces is a space, unless the second is glued."""

    text: str
    mark: Mark = "plain"
    glued: bool = False
    note: int = 0
    """The number of the footnote whose mark follows; 0 for none."""

    @property
    def on_the_line(self) -> str:
        """Its text where there is no raised or lowered type: `2^32`, `H2O`, `x_max`."""
        if self.mark not in ("superscript", "subscript") or self.is_chemical:
            return self.text
        sign = "^" if self.mark == "superscript" else "_"
        return f"{sign}{self.text}" if self.text.isalnum() else f"{sign}({self.text})"

    @property
    def is_chemical(self) -> bool:
        """True for a lowered digit, as in a formula; the writers put it after a letter."""
        return self.mark == "subscript" and self.text.isdigit()


Line = tuple[Piece, ...]
"""The content of a paragraph, heading, cell, item or note."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    line: Line


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, or a quotation of one."""

    line: Line
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Lines of code."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A list item, with the list inside it."""

    line: Line
    items: tuple["Item", ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """A list; lists inside it are of the same kind."""

    items: tuple[Item, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell, and how many columns and rows it spans."""

    line: Line
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; a row contains the cells that begin in it."""

    rows: tuple[tuple[Cell, ...], ...]


Block = Heading | Paragraph | CodeBlock | Listing | Grid


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """Blocks in reading order, and the footnotes that pieces refer to by their number from 1."""

    blocks: tuple[Block, ...]
    notes: tuple[Line, ...] = ()


def lines_of(block: Block) -> Iterator[Line]:
    """Yield the lines of a block in reading order."""
    match block:
        case Heading(line=line) | Paragraph(line=line):
            yield line
        case CodeBlock(lines=lines):
            yield from ((Piece(line, "code"),) for line in lines)
        case Listing(items=items):
            yield from _item_lines(items)
        case Grid(rows=rows):
            yield from (cell.line for row in rows for cell in row)


def _item_lines(items: tuple[Item, ...]) -> Iterator[Line]:
    for item in items:
        yield item.line
        yield from _item_lines(item.items)
