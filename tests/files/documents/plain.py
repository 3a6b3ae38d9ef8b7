"""Writes a sample document as plain text, in which no character is markup."""

from tests.files.documents.model import Feature, Line, SampleDocument, lines_of

FEATURES: frozenset[Feature] = frozenset(("heading", "code block"))


def text_file(document: SampleDocument) -> bytes:
    """A text file: a paragraph per line of the document."""
    lines = (_text(line) for block in document.blocks for line in lines_of(block))
    return "\n\n".join(filter(None, lines)).encode()


def _text(line: Line) -> str:
    return "".join(f"{'' if piece.glued else ' '}{piece.text}" for piece in line).strip()
