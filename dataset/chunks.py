"""A chunk: the piece of a document that is embedded, retrieved and quoted."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from dataset.markdown.reader import plain_text


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document that fits the embedding model's input."""

    id: str
    """Derived from the document's name and content hash and the chunk's ordinal."""
    document: str
    """The document's name."""
    document_hash: str
    title: str
    """The document's title."""
    headings: tuple[str, ...]
    """The headings above the chunk, outermost first, without the title."""
    anchor: str
    """The nearest heading's anchor on the live page, or ""."""
    url: str
    """The live page's address with the anchor; "" if unknown."""
    ordinal: int
    """Position in the document, from 0."""
    siblings: int
    """Number of chunks of the document."""
    text: str
    """Markdown, cleaned up for readers."""
    format: str = "markdown"
    """The document's format, as `dataset.conversion` names it."""
    changed: str = ""
    """The document's last change according to itself (ISO 8601); "" if unknown."""
    revision: int = 0
    """The index revision in which the API added it; 0 for a chunk that a build stored."""

    @property
    def breadcrumb(self) -> str:
        """Title and headings, outermost first."""
        return " > ".join((self.title, *self.headings))

    @property
    def text_to_embed(self) -> str:
        """The embedding model's input: breadcrumb and text without markup."""
        return f"{self.breadcrumb}\n\n{plain_text(self.text)}"


def document_text(chunks: Iterable[Chunk]) -> str:
    """The text of consecutive chunks of a document, with every heading above them once."""
    parts: list[str] = []
    above: tuple[str, ...] = ()
    for chunk in chunks:
        pairs = zip(above, chunk.headings, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        levels = range(shared, len(chunk.headings))
        parts += [f"{'#' * (level + 2)} {chunk.headings[level]}" for level in levels]
        parts.append(chunk.text)
        above = chunk.headings
    return "\n\n".join(parts)
