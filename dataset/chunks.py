"""A chunk: the piece of a document that is embedded, found and quoted."""

from dataclasses import dataclass

from dataset.markdown import plain_text


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one document, small enough for the embedding model to read whole."""

    id: str
    """Deterministic: document name, its content's hash and the chunk's place in it."""
    document: str
    """The document's name."""
    document_hash: str
    title: str
    """The document's title."""
    headings: tuple[str, ...]
    """The headings above the chunk, outermost first, the title left out."""
    anchor: str
    """The name of the nearest heading's anchor on the live page, or ""."""
    url: str
    """Where a person reads it live, with the anchor; "" if unknown."""
    ordinal: int
    """Place in the document, from 0."""
    siblings: int
    """How many chunks the document has."""
    text: str
    """As a reader should see it."""
    format: str = "markdown"
    """What the document was written in, as `dataset.conversion` names it."""
    changed: str = ""
    """When the document was last changed, as it says itself (ISO 8601); "" if unknown."""
    revision: int = 0
    """The index's revision that added it in place; 0 where a build stored it."""

    @property
    def breadcrumb(self) -> str:
        """Where the chunk stands: title and headings, outermost first."""
        return " > ".join((self.title, *self.headings))

    @property
    def text_to_embed(self) -> str:
        """Breadcrumb and text without markup: what the embedding model reads."""
        return f"{self.breadcrumb}\n\n{plain_text(self.text)}"
