"""Finds a page's main content, title, address and date."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from urllib.parse import urljoin

from dataset.conversion.html.element import HEADINGS, Element
from dataset.conversion.html.furniture import (
    drop_furniture,
    has_running_text,
    unlinked_text,
)
from dataset.conversion.html.notes import is_footnote
from dataset.conversion.html.tree import HtmlPage
from dataset.dates import first_date

_CONTENTS = re.compile(
    r"(?:on|in) this (?:page|article|section|guide)|(?:table of |page )?contents|topics?",
    re.IGNORECASE,
)
_MIN_CONTENT_SHARE = 0.6
"""Minimum share of a candidate in the text of all outermost candidates."""

_CANDIDATES: tuple[Callable[[Element], bool], ...] = (
    lambda element: element.tag == "main" or element.get("role") == "main",
    lambda element: element.get("id") in ("main-content", "main-col-body", "maincontent"),
    lambda element: element.tag == "article",
    lambda element: element.get("id") in ("content", "main", "bodyContent", "mw-content-text"),
    lambda element: bool({"markdown-body", "content", "document"}.intersection(element.classes())),
)
_MODIFIED = (
    "article:modified_time", "og:updated_time", "last-modified", "dcterms.modified",
    "date.modified", "lastmod", "revised", "updated_at",
)  # fmt: skip
_PUBLISHED = ("article:published_time", "dcterms.date", "date")


def content_of(page: HtmlPage) -> Element:
    """The main content, without what surrounds and interrupts it."""
    drop_furniture(page.body)
    main = _main(page.body)
    _drop_contents_lists(main)
    own = next((element.words() for element in page.head if element.tag == "title"), "")
    inside = set(main.walk())
    titles = [one for one in page.body.walk() if one.tag == "h1" and one not in inside]
    if len(titles) == 1 and (main.find("h1") is None or titles[0].words() == own):
        main.children.insert(0, titles[0])
    return main


def _main(body: Element) -> Element:
    for is_candidate in _CANDIDATES:
        found = [element for element in body.walk() if is_candidate(element)]
        sizes = {element: len(element.words()) for element in found}
        outermost = _outermost(found)
        total = sum(sizes[one] for one in outermost)
        largest = max(found, key=lambda element: sizes[element], default=None)
        if largest and sizes[largest] > _MIN_CONTENT_SHARE * total:
            if is_candidate is _CANDIDATES[0]:
                return _with_notes(
                    largest, body, lambda one: _is_introduction(one) or is_footnote(one)
                )
            is_main = len(outermost) == 1 and _is_most_of(largest, body)
            return _with_notes(largest, body, is_footnote) if is_main else body
    return body


def _with_notes(main: Element, body: Element, is_part: Callable[[Element], bool]) -> Element:
    """The main element, with the parts of the page outside of it that belong to it."""
    around = set(main.ancestors())
    parts = [
        element
        for element in body.walk()
        if element is main or (element not in around and is_part(element))
    ]
    outermost = _outermost(parts)
    at = outermost.index(main)
    main.children = [*outermost[:at], *main.children, *outermost[at + 1 :]]
    return main


def _is_introduction(element: Element) -> bool:
    return element.tag in ("header", "aside") and has_running_text(element)


def _outermost(elements: Sequence[Element]) -> list[Element]:
    """Those elements that are in none of the others."""
    among = set(elements)
    return [element for element in elements if among.isdisjoint(element.ancestors())]


def _is_most_of(part: Element, body: Element) -> bool:
    """True for a part of a page with most of its text, or beside which there are no headings."""
    inside, total = len(unlinked_text(part).split()), len(unlinked_text(body).split())
    headings = [element for element in body.walk() if element.tag in HEADINGS]
    return 2 * inside >= total or all(part in heading.ancestors() for heading in headings)


def _drop_contents_lists(main: Element) -> None:
    """Drop `On this page` and `Topics` with the list of links after them."""
    for element in list(main.walk()):
        for title, entries in pairwise(list(element.elements())):
            is_list = entries.tag in ("ul", "ol")
            if is_list and _CONTENTS.fullmatch(title.words().strip(" :")) and _only_links(entries):
                element.children = [
                    child for child in element.children if child not in (title, entries)
                ]


def _only_links(entries: Element) -> bool:
    linked = sum(len(below.words()) for below in entries.walk() if below.tag == "a")
    return linked > 0 and linked >= len(entries.words()) - len(list(entries.walk()))


def page_title(page: HtmlPage, content: Element) -> str:
    """The title: the first heading, else the title in the head."""
    if heading := content.find("h1"):
        return heading.words().rstrip("¶#").strip()
    stated = _meta(page, "og:title") or next(
        (element.words() for element in page.head if element.tag == "title"), ""
    )
    return " ".join(stated.split())


def address_of(page: HtmlPage, url: str) -> str:
    """The canonical address that the page states; "" if it does not."""
    links = (element for element in page.head if element.tag == "link")
    canonical = (one.get("href") for one in links if "canonical" in one.get("rel").lower().split())
    for stated in (next(canonical, ""), _meta(page, "og:url")):
        address = resolve_link(url, stated)
        if stated and address.startswith(("http://", "https://")):
            return address
    return ""


def base_of(page: HtmlPage, url: str) -> str:
    """The base of relative links; "" if unknown."""
    own = url or address_of(page, url)
    stated = (element.get("href") for element in page.head if element.tag == "base")
    base = resolve_link(own, next(filter(None, stated), own))
    return base if base.startswith(("http://", "https://")) else ""


def changed_of(page: HtmlPage, content: Element) -> str:
    """The date of the last change that the page states; "" if it does not."""
    times = [element for element in content.walk() if element.tag == "time"]
    modified = [one for one in times if one.get("itemprop") == "dateModified"]
    shown = modified or (times if len(times) == 1 else [])
    stated = [_meta(page, name) for name in _MODIFIED]
    stated += [one.get("datetime") for one in shown]
    return first_date([*stated, *(_meta(page, name) for name in _PUBLISHED)])


def resolve_link(base: str, target: str) -> str:
    """Resolve a link against a base; unchanged if that is impossible."""
    try:
        return urljoin(base, target.strip())
    except ValueError:
        return target


def _meta(page: HtmlPage, name: str) -> str:
    for element in page.head:
        named = element.get("property") or element.get("name") or element.get("itemprop")
        if element.tag == "meta" and named.lower() == name:
            return element.get("content").strip()
    return ""
