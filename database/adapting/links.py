"""Links between documents: the words that one page uses for another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urldefrag

from markdown_it.token import Token

from dataset.documents import Document
from dataset.markdown.reader import commonmark_parser
from dataset.sentences import prose_sentence_starts

_SPOKEN = {"text", "code_inline"}
_BREAKS = {"softbreak": " ", "hardbreak": "\n"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link as a reader meets it: its words, in their sentence."""

    source: str
    """The document it stands in."""
    target: str
    """Where it leads: a document's name or a URL, without the anchor; "" for its own document."""
    anchor: str
    """The anchor it leads to, or ""."""
    words: str
    sentence: str
    """The sentence that it stands in, in plain words."""

    def target_among(self, named: Callable[[str], str | None]) -> str | None:
        """The document it leads to; None for any other place.

        Args:
            named: Gives the document's name for a name or a URL.
        """
        if not self.target:
            return self.source
        if "://" in self.target:
            return named(self.target)
        return named(normpath(join(dirname(self.source), self.target)))


def links(document: Document) -> Iterator[Link]:
    """Find a document's links, in order; those without words are passed over."""
    for token in commonmark_parser(inline=True).parse(document.text):
        if token.type == "inline" and token.children:
            yield from _links(document.name, token.children)


def _links(source: str, tokens: list[Token]) -> Iterator[Link]:
    """The links of a paragraph, a list item's text or a table's cell."""
    text = ""
    opened: list[tuple[int, str]] = []
    found: list[tuple[int, int, str]] = []
    for token in tokens:
        if token.type == "link_open":
            opened.append((len(text), str(token.attrGet("href") or "")))
        elif token.type == "link_close" and opened:
            start, href = opened.pop()
            found.append((start, len(text), href))
        elif token.type in _SPOKEN:
            text += token.content
        else:
            text += _BREAKS.get(token.type, "")
    ends = [0, *prose_sentence_starts(text), len(text)]
    for start, end, href in found:
        words = " ".join(text[start:end].split())
        before = max(place for place in ends if place <= start)
        behind = min(place for place in ends if place >= end)
        target, anchor = urldefrag(href)
        sentence = " ".join(text[before:behind].split())
        if words and href:
            yield Link(source, unquote(target), anchor, words, sentence)
