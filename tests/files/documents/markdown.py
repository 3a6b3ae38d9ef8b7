"""Writes a sample document as markdown, in the styles that authors and generators use."""

import re
from collections.abc import Iterator
from itertools import cycle

from tests.files.documents.html import HtmlWriter
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

FEATURES = ALL_FEATURES - {"split word"}
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~#&])")
_LINE_START = re.compile(r"(?m)^([+-])(?=\s)|^(\d+)(?=[.)]\s)")
_RUN_OF_TICKS = re.compile("`+")
_LINKS = ("[{}]({})", "[{}](<{}>)", '[{}]({} "A title")', "[{}][page]")
_PIECES_PER_LINE = 8


class MarkdownWriter:
    """Writes blocks as markdown, tables with merged cells as HTML."""

    def __init__(self) -> None:
        self._escapes = cycle((_MARKUP, _PUNCTUATION))
        self._emphasis, self._strong = cycle("*_"), cycle(("**", "__"))
        self._links, self._bullets = cycle(_LINKS), cycle("-*+")
        self._fences = cycle(("```", "~~~", "````", ""))
        self._html = HtmlWriter(variety=False)

    def text(self, document: SampleDocument) -> str:
        """A page, with the notes and the targets of links at its end."""
        blocks = [self._block(block) for block in document.blocks]
        blocks += [
            f"[^{at}]: {self._line(note)}" for at, note in enumerate(document.notes, start=1)
        ]
        return "\n\n".join((*blocks, f"<!-- {UNSEEN} -->", f"[page]: {ADDRESS}")) + "\n"

    def _block(self, block: Block) -> str:
        match block:
            case Heading(level=level, line=line):
                return f"{'#' * level} {self._line(line)}"
            case Paragraph(line=line, quoted=quoted):
                text = self._line(line, per_line=_PIECES_PER_LINE)
                return re.sub("^", "> ", text, flags=re.MULTILINE) if quoted else text
            case CodeBlock(lines=lines):
                return self._code(lines)
            case Listing(items=items, numbered=numbered):
                return "\n".join(self._items(items, numbered, ""))
            case Grid():
                merged = any(cell.columns + cell.rows > 2 for row in block.rows for cell in row)
                return self._html.block(block) if merged else self._table(block)
        raise AssertionError(block)

    def _code(self, lines: tuple[str, ...]) -> str:
        fence = next(self._fences)
        if not fence:
            return "\n".join(f"    {line}" for line in lines)
        return "\n".join((f"{fence}text", *lines, fence))

    def _items(self, items: tuple[Item, ...], numbered: bool, indent: str) -> Iterator[str]:
        bullet = next(self._bullets)
        for number, item in enumerate(items, start=1):
            mark = f"{number}. " if numbered else f"{bullet} "
            yield f"{indent}{mark}{self._line(item.line)}"
            yield from self._items(item.items, numbered, indent + " " * len(mark))

    def _table(self, grid: Grid) -> str:
        head, *rows = (self._row(row) for row in grid.rows)
        return "\n".join((head, f"|{' --- |' * len(grid.rows[0])}", *rows))

    def _row(self, row: tuple[Cell, ...]) -> str:
        cells = (re.sub(r"(?<!\\)\|", r"\\|", self._line(cell.line)) for cell in row)
        return f"| {' | '.join(cells)} |"

    def _line(self, line: Line, per_line: int = 0) -> str:
        text = ""
        for at, piece in enumerate(line):
            space = "\n" if per_line and at % per_line == per_line - 1 else " "
            text += ("" if piece.glued or not at else space) + self._piece(piece)
            text += f"[^{piece.note}]" if piece.note else ""
        return _LINE_START.sub(r"\\\1\2", text)

    def _piece(self, piece: Piece) -> str:
        if piece.mark == "code":
            longest = max(map(len, _RUN_OF_TICKS.findall(piece.text)), default=0)
            ticks = "`" * (longest + 1)
            edge = " " if longest else ""
            return f"{ticks}{edge}{piece.text}{edge}{ticks}"
        text = next(self._escapes).sub(r"\\\1", piece.text)
        match piece.mark:
            case "emphasis" | "strong":
                mark = next(self._emphasis if piece.mark == "emphasis" else self._strong)
                return f"{mark}{text}{mark}"
            case "link":
                return next(self._links).format(text, ADDRESS)
            case "superscript":
                return f"<sup>{text}</sup>"
            case "subscript":
                return f"<sub>{text}</sub>"
        return text


def markdown_page(document: SampleDocument) -> bytes:
    """A page of markdown."""
    return MarkdownWriter().text(document).encode()
