"""Writes sample documents of unique facts: one long sample, and variations by Hypothesis."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.files.documents.facts import SHAPES, WORDS, word
from tests.files.documents.model import (
    Block,
    Cell,
    CodeBlock,
    Feature,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Mark,
    Paragraph,
    Piece,
    SampleDocument,
)

_BLOCKS = ("heading", "list", "quote", "code block", "table")
_PIECES = (
    "emphasis", "strong", "code", "link", "raised", "lowered", "split word", "note", "noted number",
)  # fmt: skip
_SPLIT = (*WORDS, "integer", "thousands", "hexadecimal", "percent", "version", "date", "network")
_SPLIT_PLACE = re.compile(r"[^\W_](?=[^\W_])")
"""Inside a word or number; beside its punctuation (`n=`) bold may begin."""
_PARAGRAPH = 7
"""Facts in a paragraph."""
_SAMPLE_BLOCKS = 100
_VARIATION_BLOCKS = 12

Choose = Callable[[Sequence[Any], str], Any]
"""Chooses one of several options; the second argument names what is chosen."""


class Author:
    """Writes blocks of text; no fact is written twice."""

    def __init__(self, features: frozenset[Feature], choose: Choose) -> None:
        self._features = features
        self._choose = choose
        self._numbers = count()
        self._notes: list[Line] = []

    def document(self, size: int) -> SampleDocument:
        """A document of a title, a paragraph and so many blocks."""
        title = Heading(1, (self._word(), self._word()))
        blocks = (self._block() for _ in range(size))
        return SampleDocument((title, self._paragraph(), *blocks), tuple(self._notes))

    def _block(self) -> Block:
        kinds = ["paragraph", *(kind for kind in _BLOCKS if kind in self._features)]
        match self._choose(kinds, "block"):
            case "heading":
                return Heading(self._choose((2, 3, 4), "level"), self._line(2, notes=False))
            case "list":
                return self._list()
            case "table":
                return self._table()
            case "code block":
                return CodeBlock((self._code(), f"    {self._code()}", self._code()))
            case kind:
                return self._paragraph(quoted=kind == "quote")

    def _paragraph(self, *, quoted: bool = False) -> Paragraph:
        return Paragraph((*self._line(_PARAGRAPH), Piece(".", glued=True)), quoted)

    def _list(self) -> Listing:
        numbered = self._choose((False, True), "numbered")
        depths = self._choose(((0, 0, 0), (0, 1, 0), (2, 0), (1, 1)), "depths")
        return Listing(tuple(self._item(depth) for depth in depths), numbered)

    def _item(self, depth: int) -> Item:
        inside = (self._item(depth - 1), self._item(0)) if depth else ()
        return Item(self._line(2), inside)

    def _table(self) -> Grid:
        columns = self._choose((2, 3, 4), "columns")
        head = tuple(Cell((self._word(),)) for _ in range(columns))
        rows = [self._row(columns) for _ in range(self._choose((1, 2, 4), "rows"))]
        if "merged cells" in self._features:
            rows += self._merged_rows(columns, self._choose((False, True), "down"))
        return Grid((head, *rows))

    def _row(self, columns: int) -> tuple[Cell, ...]:
        sizes = [self._choose((0, 1, 1, 2), "cell") for _ in range(columns - 1)]
        return (Cell((self._word(),)), *(Cell(self._facts(size)) for size in sizes))

    def _merged_rows(self, columns: int, down: bool) -> list[tuple[Cell, ...]]:
        """A cell across two columns or down two rows, and the cells beside it."""
        if not down:
            return [(Cell(self._line(1), columns=2), *self._row(columns - 2 or 1)[: columns - 2])]
        first = (Cell(self._line(1), rows=2), *self._row(columns - 1))
        return [first, self._row(columns - 1)]

    def _line(self, size: int, *, notes: bool = True) -> Line:
        """A line that begins with a word and contains so many facts."""
        return self._word(), *self._facts(size, notes=notes)

    def _facts(self, size: int, *, notes: bool = True) -> Line:
        kinds = ["plain", *(kind for kind in _PIECES if kind in self._features)]
        if not notes:
            kinds = [kind for kind in kinds if "note" not in kind]
        purpose = f"pieces, notes: {notes}"
        return tuple(
            piece for _ in range(size) for piece in self._pieces(self._choose(kinds, purpose))
        )

    def _pieces(self, kind: str) -> Line:
        match kind:
            case "raised":
                text, above = self._choose((("integer", "32"), ("word", "n-1")), kind)
                return self._glued(text, above, "superscript")
            case "lowered":
                text, below = self._choose((("word", "2"), ("word", "max")), kind)
                return self._glued(text, below, "subscript")
            case "split word":
                text = self._fact(_SPLIT, kind)
                cut = _SPLIT_PLACE.search(text)
                assert cut
                return Piece(text[: cut.end()]), Piece(text[cut.end() :], "strong", glued=True)
            case "note" | "noted number":
                text = self._fact(["word"] if kind == "note" else ["integer", "percent"], kind)
                self._notes.append(self._line(2, notes=False))
                return (Piece(text, note=len(self._notes)),)
            case "plain" | "emphasis" | "strong" | "code" | "link":
                return (Piece(self._fact(tuple(SHAPES), kind), kind),)
        raise AssertionError(kind)

    def _word(self) -> Piece:
        return Piece(word(next(self._numbers)))

    def _code(self) -> str:
        facts = (self._fact(tuple(SHAPES), "code block") for _ in range(2))
        return f"{self._word().text} {'  '.join(facts)}"

    def _fact(self, shapes: Sequence[str], purpose: str) -> str:
        return SHAPES[self._choose(shapes, f"shape {purpose}")](next(self._numbers))

    def _glued(self, shape: str, text: str, mark: Mark) -> Line:
        return Piece(self._fact([shape], mark)), Piece(text, mark, glued=True)


class _Dealer:
    """Chooses at random, but all options of a purpose before one of them again."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._decks = defaultdict[str, list[Any]](list)

    def __call__(self, options: Sequence[Any], purpose: str) -> Any:
        deck = self._decks[purpose]
        if not deck:
            deck += self._random.sample(options, len(options))
        return deck.pop()


def sample(
    features: frozenset[Feature], *, blocks: int = _SAMPLE_BLOCKS, seed: int = 0
) -> SampleDocument:
    """A document of everything that a format can express, if it is long enough."""
    return Author(features, _Dealer(seed)).document(blocks)


@st.composite
def variations(draw: st.DrawFn, features: frozenset[Feature]) -> SampleDocument:
    """Short documents of what a format can express."""
    author = Author(features, lambda options, _: draw(st.sampled_from(options)))
    return author.document(_VARIATION_BLOCKS)
