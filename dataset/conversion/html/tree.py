"""HTML as a small tree of our own, which any parser could have made.

The parser is Lexbor (selectolax): it repairs unclosed and misplaced tags as browsers do. The tree
is walked without recursion, and one that is nested too deep to be a page is refused here, so that
everything after it may recurse.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dataset.conversion.error_texts import too_deep
from utils.errors import DocumentError

MAX_DEPTH = 256
"""Pages stay below 60; what is made by machines to be read stays below 200."""

_NEVER_TEXT = frozenset((
    "script", "style", "template", "noscript", "svg", "canvas", "iframe", "object", "embed",
    "audio", "video", "map", "dialog", "head", "button", "input", "select", "textarea",
    "datalist", "option", "progress", "meter", "-comment",
))  # fmt: skip


_XHTML = "http://www.w3.org/1999/xhtml"
_HEAD = 2000
_CLOSED_AT_ONCE = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)"
    r"([A-Za-z][\w:-]{0,50})((?:\s[^<>]{0,2000})?)/>",
    re.IGNORECASE,
)
"""`<a id="x"/>` is empty in XHTML, and holds the rest of the page for a parser of HTML."""
_MAX_OPEN = 4000
_NEVER_CLOSED_BY_OTHERS = re.compile(
    r"<(/?)(?:div|span|section|article|blockquote|table|ul|ol|dl|a|b|i|em|strong|font|u|small|big"
    r"|center|fieldset|form|details|figure|main|aside|nav|header|footer|svg|g|math|template)\b",
    re.IGNORECASE,
)


@dataclass(slots=True, eq=False)
class Element:
    """A tag with what stands in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)
    parent: "Element | None" = None

    def get(self, name: str) -> str:
        """An attribute's value; "" where there is none."""
        return self.attributes.get(name, "")

    def elements(self) -> Iterator["Element"]:
        """Yield the elements directly inside."""
        return (child for child in self.children if isinstance(child, Element))

    def walk(self) -> Iterator["Element"]:
        """Yield this element and all below it, in the order of the page."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(list(element.elements())))

    def find(self, *tags: str) -> "Element | None":
        """The first element below with one of these tags."""
        return next(
            (found for found in self.walk() if found is not self and found.tag in tags), None
        )

    def text(self) -> str:
        """All words below, as they stand."""
        parts: list[str] = []
        waiting: list[Element | str] = [self]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                parts.append(item)
            else:
                waiting.extend(reversed(item.children))
        return "".join(parts)

    def words(self) -> str:
        """All words below in one line."""
        return " ".join(self.text().split())

    def classes(self) -> list[str]:
        """The names of its classes, in lower case."""
        return self.get("class").lower().split()


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A parsed page: its body, and its head's elements one by one."""

    body: Element
    head: list[Element]


def parse_html(html: str) -> HtmlPage:
    """Parse a page, scripts and other things without words left out.

    Raises:
        DocumentError: it is nested deeper than any page.
    """
    from selectolax.lexbor import LexborHTMLParser

    if _XHTML in html[:_HEAD]:
        html = _CLOSED_AT_ONCE.sub(r"<\1\2></\1>", html)
    if _open_at_once(html) > _MAX_OPEN:  # Lexbor's time is quadratic in it
        raise DocumentError(too_deep())
    try:
        parsed = LexborHTMLParser(html)
    except Exception as error:
        # HTML has no errors: a parser of it fails for want of memory alone.
        raise MemoryError from error
    body = Element("body") if parsed.body is None else _tree(parsed.body)
    head: list[Element] = []
    if parsed.head is not None:
        below = parsed.head.child
        while below is not None:
            if below.tag in ("title", "meta", "link", "base"):
                element = Element(below.tag, _attributes(below))
                element.children.append(below.text(deep=True))
                head.append(element)
            below = below.next
    return HtmlPage(body, head)


def _open_at_once(html: str) -> int:
    """How many tags of those that only their own end closes are open at most."""
    most = now = 0
    for found in _NEVER_CLOSED_BY_OTHERS.finditer(html):
        now = max(now - 1, 0) if found[1] else now + 1
        most = max(most, now)
    return most


def _tree(start: Any) -> Element:
    """Copy Lexbor's tree, going down to the first child, then to the next one, then up."""
    root = Element("body", _attributes(start))
    into, depth, node = root, 1, start.child
    while node is not None:
        if node.tag == "-text":
            into.children.append(node.text_content or "")
        elif node.tag not in _NEVER_TEXT:
            element = Element(node.tag, _attributes(node), parent=into)
            into.children.append(element)
            if node.child is not None:
                into, depth, node = element, depth + 1, node.child
                if depth > MAX_DEPTH:
                    raise DocumentError(too_deep())
                continue
        while node.next is None and into is not root:
            into, depth, node = into.parent or root, depth - 1, node.parent
        node = node.next
    return root


def _attributes(node: Any) -> dict[str, str]:
    return {name: value or "" for name, value in node.attributes.items()}
