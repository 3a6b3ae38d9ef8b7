"""Links between documents: their words are what one page calls another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urldefrag

from markdown_it.token import Token

from dataset.documents import Document
from dataset.markdown.reader import commonmark_parser
from dataset.sentences import prose_sentence_starts

_TEXT = {"text", "code_inline"}
_BREAKS = {"softbreak": " ", "hardbreak": "\n"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link in the document `source`."""

    source: str
    target: str
    """A relative path or a URL, without the anchor; "" for the source itself."""
    anchor: str
    words: str
    sentence: str
    """The sentence around the link, in plain text."""

    def target_among(self, find_document: Callable[[str], str | None]) -> str | None:
        """The name of the target document; `find_document` finds it by its name or URL."""
        if not self.target:
            return self.source
        if "://" in self.target:
            return find_document(self.target)
        return find_document(normpath(join(dirname(self.source), self.target)))


def links(document: Document) -> Iterator[Link]:
    """Yield the links of a document, in order, except those without words."""
    for token in commonmark_parser(inline=True).parse(document.text):
        if token.type == "inline" and token.children:
            yield from _links(document.name, token.children)


def _links(source: str, tokens: list[Token]) -> Iterator[Link]:
    """The links of a paragraph, the text of a list item, or a table cell."""
    text = ""
    opened: list[tuple[int, str]] = []
    found: list[tuple[int, int, str]] = []
    for token in tokens:
        if token.type == "link_open":
            opened.append((len(text), str(token.attrGet("href") or "")))
        elif token.type == "link_close" and opened:
            start, href = opened.pop()
            found.append((start, len(text), href))
        elif token.type in _TEXT:
            text += token.content
        else:
            text += _BREAKS.get(token.type, "")
    boundaries = [0, *prose_sentence_starts(text), len(text)]
    for start, end, href in found:
        words = " ".join(text[start:end].split())
        sentence_start = max(at for at in boundaries if at <= start)
        sentence_end = min(at for at in boundaries if at >= end)
        target, anchor = urldefrag(href)
        sentence = " ".join(text[sentence_start:sentence_end].split())
        if words and href:
            yield Link(source, unquote(target), anchor, words, sentence)
