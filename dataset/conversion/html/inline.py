"""Writes the inline content of a paragraph: emphasis, code, links."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from dataset.conversion.html.content import resolve_link
from dataset.conversion.html.element import HEADINGS, Element
from dataset.markdown import writer

_CODE = frozenset(("code", "tt", "kbd", "samp", "literal"))
_STRONG = frozenset(("strong", "b"))
_EMPHASIS = frozenset(("em", "i", "cite", "dfn", "var"))
_DELETED = frozenset(("del", "s", "strike"))
_WITHIN_WORD = re.compile(r"\w\x00\w|\d[.,:/-]\x00\d|\d\x00[.,:/-]\d")
_SPACES = re.compile(r"[ \t\n\r\f\v\u00a0\u2028\u2029\u202f]+")
_PERMALINK = re.compile(
    r"[¶#§🔗↑↩^\ufe0e\ufe0f\s]*|(?:permanent |perma)?link(?: to this .{0,40})?", re.IGNORECASE
)
_NO_WORDS = re.compile(
    r"(?:image|img|icon|logo|screenshot)?|.*NOT AVAILABLE.*|\S+\.(?:png|jpe?g|gif|svg|webp)",
    re.IGNORECASE,
)
"""Alternative texts of images that do not describe them."""


@dataclass(frozen=True, slots=True)
class Inline:
    """Writes inline content; links are relative to `base`."""

    base: str = ""
    escape: Callable[[str], str] = writer.escape
    escape_lines: Callable[[str], str] = writer.escape_line_starts

    def write(self, items: list[Element | str]) -> str:
        """Write a paragraph; each `<br>` ends a line."""
        text = self._pieces(items)
        lines = (_SPACES.sub(" ", line).strip() for line in text.split("\v"))
        return self.escape_lines("\n".join(line for line in lines if line))

    def one_line(self, items: list[Element | str]) -> str:
        """Write a single line, as headings need it."""
        return _SPACES.sub(" ", self._pieces(items).replace("\v", " ")).strip()

    def _pieces(self, items: list[Element | str]) -> str:
        text = ""
        for one, following in zip_longest(items, items[1:]):
            if isinstance(one, str):
                text += self.escape(one)
            elif _is_part_of_word(one, text, following):
                text += self._pieces(one.children)
            else:
                # A style sheet puts the colon between a term and its type.
                in_term = one.parent is not None and one.parent.tag == "dt"
                is_type = in_term and "classifier" in one.classes() and text.rstrip()[-1:] != ":"
                text += (" : " if is_type else "") + self._piece(one)
        return text

    def _piece(self, element: Element) -> str:
        tag = element.tag
        if tag == "br":
            return "\v"
        if tag == "img":
            words = " ".join(element.get("alt").split())
            return "" if _NO_WORDS.fullmatch(words) else writer.escape(words)
        if tag == "math" and element.get("alttext"):
            return f" {writer.code(element.get('alttext'))} "
        if tag in _CODE or (tag == "span" and "literal" in element.classes()):
            before, words, after = writer.split_edges(writer.without_invisible(element.text()))
            return f"{before}{writer.code(' '.join(words.split()))}{after}" if words else before
        inside = self._pieces(element.children)
        if tag == "a":
            return self._link(element, inside)
        if tag in _STRONG or tag in _EMPHASIS:
            return writer.emphasis("**" if tag in _STRONG else "*", inside)
        if tag == "q":
            return f'"{inside}"'
        if tag in _DELETED:
            return writer.emphasis("~~", inside)
        return inside

    def _link(self, element: Element, inside: str) -> str:
        if is_permalink(element):
            return " " if inside[:1].isspace() else ""
        target = element.get("href").strip()
        address = resolve_link(self.base, target) if target else ""
        return writer.link(inside.replace("\v", " "), address if self._is_useful(address) else "")

    def _is_useful(self, address: str) -> bool:
        if address.lower().startswith(("http://", "https://", "mailto:", "tel:")):
            return True
        # Without a base, a link to another page still contains its name.
        return not self.base and not address.startswith("#") and ":" not in address.split("/")[0]


def _is_part_of_word(element: Element, before: str, following: Element | str | None) -> bool:
    """True for emphasis that begins or ends within a word, which its marks would cut in two."""
    if element.tag not in _STRONG | _EMPHASIS:
        return False
    inside = element.text()
    after = following if isinstance(following, str) else following.text() if following else ""
    return _WITHIN_WORD.search(f"{before[-2:]}\0{inside}\0{after[:2]}") is not None


def is_permalink(element: Element) -> bool:
    """True for a link that only leads to the heading that contains it."""
    if element.tag != "a" or not element.get("href").startswith("#"):
        return False
    known = {"headerlink", "anchor", "anchor-link", "hash-link", "heading-anchor", "anchorjs-link"}
    words = element.words()
    if element.get("role") == "doc-backlink":
        in_heading = any(above.tag in HEADINGS for above in element.ancestors())
        if not any(map(str.isalnum if in_heading else str.isalpha, words)):
            return True
    return bool(known.intersection(element.classes())) or (
        len(words) < 60 and _PERMALINK.fullmatch(words) is not None
    )
