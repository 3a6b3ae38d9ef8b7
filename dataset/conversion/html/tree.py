"""Parses HTML into a small tree that does not depend on the parser.

The parser is Lexbor (selectolax), which repairs unclosed and misplaced tags as browsers do. Pages
nested too deep are refused here, so that all later stages may recurse.
"""

import re
from dataclasses import dataclass
from typing import Any

from dataset.conversion.error_texts import TOO_DEEP
from dataset.conversion.html.element import Element
from dataset.conversion.html.scripts import scripts_as_text
from utils.errors import DocumentError

MAX_DEPTH = 256
"""Pages stay below 60, and generated ones below 200."""

_NEVER_TEXT = frozenset((
    "script", "style", "template", "noscript", "svg", "canvas", "iframe", "object", "embed",
    "audio", "video", "map", "dialog", "head", "datalist", "progress", "meter", "-comment",
))  # fmt: skip

_WITHOUT_CONTENT = frozenset(("input", "select", "textarea"))
"""Controls: what they are matters, what a user may enter or choose does not."""

_XHTML = "http://www.w3.org/1999/xhtml"
_HEAD = 2000
_CLOSED_AT_ONCE = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)"
    r"([A-Za-z][\w:-]{0,50})((?:\s[^<>]{0,2000})?)/>",
    re.IGNORECASE,
)
"""`<a id="x"/>` is empty in XHTML; an HTML parser would put the rest of the page into it."""
_MAX_OPEN = 4000
_NEVER_CLOSED_BY_OTHERS = re.compile(
    r"<(/?)(?:div|span|section|article|blockquote|table|ul|ol|dl|a|b|i|em|strong|font|u|small|big"
    r"|center|fieldset|form|details|figure|main|aside|nav|header|footer|svg|g|math|template)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A parsed page: its body, and the elements of its head."""

    body: Element
    head: list[Element]


def parse_html(html: str) -> HtmlPage:
    """Parse a page, without scripts and other elements that have no text.

    Raises:
        DocumentError: it is nested too deep.
    """
    from selectolax.lexbor import LexborHTMLParser

    if _XHTML in html[:_HEAD]:
        html = _CLOSED_AT_ONCE.sub(r"<\1\2></\1>", html)
    if _open_at_once(html) > _MAX_OPEN:  # Lexbor's time is quadratic in the depth
        raise DocumentError(TOO_DEEP)
    try:
        parsed = LexborHTMLParser(html)
    except Exception as error:
        # HTML has no syntax errors: only a lack of memory makes the parser fail.
        raise MemoryError from error
    body = Element("body") if parsed.body is None else _tree(parsed.body, None, 1)
    scripts_as_text(body)
    head: list[Element] = []
    if parsed.head is not None:
        for below in parsed.head.iter():
            if below.tag in ("title", "meta", "link", "base"):
                head.append(Element(below.tag, _attributes(below), [below.text(deep=True)]))
    return HtmlPage(body, head)


def _open_at_once(html: str) -> int:
    """The maximum number of open tags, among those that only their own end tag closes."""
    maximum = now = 0
    for found in _NEVER_CLOSED_BY_OTHERS.finditer(html):
        now = max(now - 1, 0) if found[1] else now + 1
        maximum = max(maximum, now)
    return maximum


def _tree(node: Any, parent: Element | None, depth: int) -> Element:
    """Copy an element and its content from Lexbor's tree."""
    if depth > MAX_DEPTH and node.child is not None:
        raise DocumentError(TOO_DEEP)
    element = Element(node.tag, _attributes(node), parent=parent)
    if node.tag in _WITHOUT_CONTENT:
        return element
    for below in node.iter(include_text=True):
        if below.tag == "-text":
            element.children.append(below.text_content or "")
        elif below.tag not in _NEVER_TEXT:
            element.children.append(_tree(below, element, depth + 1))
        elif below.tag == "svg" and _is_in_cell(element):  # it may be all that the cell shows
            element.children.append(Element("svg", _attributes(below), parent=element))
    return element


def _is_in_cell(element: Element) -> bool:
    return any(around.tag in ("td", "th") for around in (element, *element.ancestors()))


def _attributes(node: Any) -> dict[str, str]:
    return {name: value or "" for name, value in node.attributes.items()}
