"""Writes a sample document as reStructuredText, with directives and roles of Sphinx."""

import re
from collections.abc import Iterator
from itertools import cycle

from tests.files.documents.model import (
    ADDRESS,
    ALL_FEATURES,
    UNSEEN,
    Block,
    Cell,
    CodeBlock,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Paragraph,
    Piece,
    SampleDocument,
)

FEATURES = ALL_FEATURES - {"merged cells"}
_MARKUP = re.compile(r"([\\*`_|<>:\[\]~-])")
_MARKS = {
    "emphasis": "*{}*",
    "strong": "**{}**",
    "superscript": ":sup:`{}`",
    "subscript": ":sub:`{}`",
    "link": f"`{{}} <{ADDRESS}>`__",
}
_PLAIN = (
    "{}", ":guilabel:`{}`", ":ref:`{} <place>`", ":term:`{}`", ":func:`{}`", ":kbd:`{}`",
    ":doc:`{} </page>`", ":py:class:`~{}`", ":emphasis:`{}`", ":code:`{}`", ":unknown-role:`{}`",
)  # fmt: skip
"""What a plain word may be in."""
_BOXES = (
    "", ".. note::", ".. container:: wide", ".. versionadded:: 1.2", ".. tab-set::", ".. seealso::",
    ".. collapse:: More", ".. warning::", ".. topic:: Topic", ".. admonition:: Also",
    ".. unknown-directive::", ".. sidebar:: Beside", ".. function:: call()", ".. glossary::",
    ".. centered::", ".. only:: html",
)  # fmt: skip
"""What a block may be in."""
_UNDERLINES = {1: "=", 2: "-", 3: "~", 4: "^"}


class _RstWriter:
    def __init__(self) -> None:
        self._plain, self._boxes = cycle(_PLAIN), cycle(_BOXES)
        self._level = 0

    def text(self, document: SampleDocument) -> str:
        blocks = [self._boxed(block) for block in document.blocks]
        blocks += [
            f".. [{at}] {self._line(note)}" for at, note in enumerate(document.notes, start=1)
        ]
        return "\n\n".join(blocks) + "\n"

    def _boxed(self, block: Block) -> str:
        if isinstance(block, Heading):
            return self._heading(block)
        box, written = next(self._boxes), self._block(block)
        if isinstance(block, Paragraph) and block.quoted:
            return f".. {UNSEEN}\n\n..\n\n{_indented(written)}"  # an empty comment ends a block
        return f"{box}\n\n{_indented(written)}" if box else written

    def _heading(self, heading: Heading) -> str:
        # A section may be one level deeper than the one around it, not more.
        self._level = min(heading.level, self._level + 1)
        words = self._line(heading.line)
        return f"{words}\n{_UNDERLINES[self._level] * 2 * len(words)}"

    def _block(self, block: Block) -> str:
        match block:
            case Paragraph(line=line):
                return self._line(line)
            case CodeBlock(lines=lines):
                return ".. code-block:: text\n\n" + _indented("\n".join(lines))
            case Listing(items=items, numbered=numbered):
                return "\n".join(self._items(items, numbered))
            case Grid(rows=rows):
                return self._table(rows)
        raise AssertionError(block)

    def _items(self, items: tuple[Item, ...], numbered: bool) -> Iterator[str]:
        for number, item in enumerate(items, start=1):
            mark = f"{number}. " if numbered else "- "
            yield mark + self._line(item.line)
            if item.items:
                inside = "\n".join(self._items(item.items, numbered))
                yield f"\n{_indented(inside, len(mark))}\n"

    def _table(self, rows: tuple[tuple[Cell, ...], ...]) -> str:
        written = (
            f"{'  -' if at else '* -'} {self._line(cell.line)}".rstrip()
            for row in rows
            for at, cell in enumerate(row)
        )
        return ".. list-table::\n   :header-rows: 1\n\n" + _indented("\n".join(written))

    def _line(self, line: Line) -> str:
        text = ""
        for at, piece in enumerate(line):
            gap = "\\ " if piece.glued else " " if at else ""
            followed = at + 1 < len(line) and line[at + 1].glued
            text += gap + self._piece(piece, bare=piece.glued or followed or bool(piece.note))
            text += f"\\ [{piece.note}]_" if piece.note else ""
        return text

    def _piece(self, piece: Piece, *, bare: bool) -> str:
        if piece.mark == "code":
            return f"``{piece.text}``"
        text = _MARKUP.sub(r"\\\1", piece.text)
        if piece.mark == "plain":
            return next(self._plain).format(text) if text.isalpha() and not bare else text
        return _MARKS[piece.mark].format(text)


def _indented(text: str, width: int = 3) -> str:
    return re.sub("^(?=.)", " " * width, text, flags=re.MULTILINE)


def rst_page(document: SampleDocument) -> bytes:
    """A page of reStructuredText."""
    return _RstWriter().text(document).encode()
