"""Checks that a document's words and numbers are all in the text that was read from it.

A token is what stands between two spaces for a person who reads the document. It must be found
whole, in order, and set off from its neighbours: by a space, or by markup.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataset.markdown.reader import sections
from tests.files.documents.model import UNSEEN, Grid, Line, SampleDocument, lines_of

_NOTE = "\0"
_END_OF_SENTENCE = ".,;:!?"
_BEFORE = re.compile(r"""[\s*`\[\](|<>"']?""")
_AFTER = re.compile(r"""[.,;:!?]*(?:\Z|[\s*`\[\])|<>"'])""")
_AFTER_NOTED_WORD = re.compile(rf"(?:\^\d{{1,2}})?{_AFTER.pattern}")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_CONTEXT = 30


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number or name."""

    text: str
    is_noted: bool = False
    """True if the mark of a note follows it."""

    def find(self, text: str, start: int = 0) -> int:
        """The end of the token in a text where it is set off from its neighbours; -1 without one.

        Where a format has only raised digits, `word^1` shows a note; `106^1` would be a number.
        """
        after = _AFTER_NOTED_WORD if self.is_noted and self.text.isalpha() else _AFTER
        while (at := text.find(self.text, start)) >= 0:
            start = at + len(self.text)
            if _BEFORE.fullmatch(text[at - 1 : at]) and after.match(text, start):
                return start
        return -1


def tokens_of(line: Line) -> list[Token]:
    """The tokens of a line, without the punctuation after them."""
    text = ""
    for piece in line:
        text += ("" if piece.glued else " ") + piece.on_the_line + (_NOTE if piece.note else "")
    words = (word.rstrip(_END_OF_SENTENCE + _NOTE) for word in text.split())
    noted = (_NOTE in word for word in text.split())
    return [Token(word, mark) for word, mark in zip(words, noted, strict=True) if word]


def read_text(markdown: str) -> str:
    """A document as chunks are made of it: its headings and blocks, one below the other."""
    parts: list[str] = []
    for section in sections(markdown):
        parts += [*section.headings[-1:], *(block.text for block in section.blocks)]
    return "\n\n".join(parts)


def faults_in(document: SampleDocument, text: str) -> list[str]:
    """A line for each token that the text of a document lacks or alters, and for each torn row."""
    body = [
        token for block in document.blocks for line in lines_of(block) for token in tokens_of(line)
    ]
    unescaped = text.replace("\\|", "|")
    faults = list(_missing(body, unescaped))
    for note in document.notes:
        faults += _missing(tokens_of(note), unescaped)
    if UNSEEN in text:
        faults.append(f"shown: {_around(text, UNSEEN)!r}")
    return faults + list(_torn_rows(document, text))


def _missing(tokens: Iterable[Token], text: str) -> Iterator[str]:
    at = 0
    for token in tokens:
        if (end := token.find(text, at)) >= 0:
            at = end
        elif token.find(text) >= 0:
            yield f"out of order: {token.text!r}"
        elif token.text in text:
            yield f"glued: {token.text!r} in {_around(text, token.text)!r}"
        else:
            yield f"lost or altered: {token.text!r}"


def _around(text: str, part: str) -> str:
    at = text.index(part)
    return text[max(at - _CONTEXT, 0) : at + len(part) + _CONTEXT]


def _torn_rows(document: SampleDocument, text: str) -> Iterator[str]:
    """Find the table rows whose cells are not cells of one row in the text."""
    shown = [line for line in text.split("\n") if "|" in line]
    for block in document.blocks:
        for row in block.rows if isinstance(block, Grid) else ():
            cells = [tokens_of(cell.line) for cell in row if cell.line]
            if not any(_is_row(line, cells) for line in shown):
                yield f"torn row: {[' '.join(token.text for token in cell) for cell in cells]}"


def _is_row(line: str, cells: Sequence[Sequence[Token]]) -> bool:
    """True if each cell's tokens are in a cell of their own, in order."""
    if cells[0][0].text not in line:
        return False
    left = (place.replace("\\|", "|") for place in _CELL_BORDER.split(line))
    return all(any(not list(_missing(tokens, place)) for place in left) for tokens in cells)
