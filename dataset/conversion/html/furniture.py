"""Recognises what surrounds the content of a page, by what it is and what it contains.

A class or an id alone decides nothing: a section on session cookies is content. What readers can
open, such as the answers of an FAQ, is content as well.
"""

import re
from itertools import pairwise

from dataset.conversion.html.code import is_line_number
from dataset.conversion.html.controls import (
    CONTROLS,
    QUESTIONS,
    drop_controls,
    is_question,
    keep_questions,
)
from dataset.conversion.html.element import BLOCK_TAGS, HEADINGS, Element, text_lengths
from dataset.conversion.html.notes import admonition_kinds, is_footnote
from dataset.conversion.html.tabs import TARGETS, name_panels

_DROPPED_ROLES = frozenset(
    ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar",
     "toolbar")
)  # fmt: skip
_UNREAD = (
    r"sr-only|screen-?reader-?only|visually-?hidden|line-?numbers?|linenos?|gutter|copy-?btn"
    r"|edit-?section|headerlink-?icon"
)
"""Classes of small elements that are no part of the text beside them."""
_NOISE = re.compile(
    r"(?:.*[-_])?(?:cookies?|consent|gdpr|onetrust|breadcrumbs?|pagination|pager|feedback|newsletter"
    r"|social|share|sharing|skip-?(?:link|nav|to-?content)|advert(?:isement)?s?|ads"
    r"|on-?this-?page|in-?this-?(?:page|article)|page-?toc|table-?of-?contents|tocbot|toc|localtoc"
    r"|edit-?(?:this-?page|link)|copy-?button|prev-?next|related-?links|navbar"
    rf"|site-?(?:header|footer|nav)|{_UNREAD})(?:[-_].*)?"
)
_EDIT = re.compile(
    r"(?:(?:edit|improve|suggest)(?: this| an?)?(?: page| article| edits?| source)*"
    r"|view(?: this)?(?: page| article)(?: source)?)(?: on git(?:hub|lab))?",
    re.IGNORECASE,
)
_EDIT_ADDRESS = re.compile(r"/(?:edit|blob|tree|_sources)/")
_NEVER_NOISE = frozenset(
    (*HEADINGS, "a", "pre", "code", "table", "caption", "thead", "tbody", "tr", "td", "th", "dl",
     "dt", "dd")
)  # fmt: skip
_SECTIONING = ("main", "article", "section", "figure", "td", "details")
_SENTENCE = re.compile(r"\S+(?:\s+\S+){2,}[.:;!\u3002\uff01][\"')\]]?(?:\s|$)|[\u3002\uff01]")
_IMPRINT = re.compile(r"\u00a9|copyright|all rights reserved|privacy|imprint", re.IGNORECASE)
_BESIDE_TEXT = re.compile(rf"(?:.*[-_])?(?:{_UNREAD}|screen-?reader)(?:[-_].*)?")
_DISMISSAL = re.compile(
    r"(?:i )?(?:accept|agree|allow|reject|decline|deny|ok\b|okay|got it|dismiss|close|subscribe"
    r"|sign up|submit|send|go$|yes|no$|manage|\W*$)",
    re.IGNORECASE,
)
_MIN_ASIDE_WORDS = 2
_MIN_RUNNING_WORDS = 8
_MAX_BANNER_WORDS = 60
_MAX_BESIDE = 20
"""A link to edit the page has few neighbours."""


def drop_furniture(body: Element) -> None:
    """Drop from a page what is hidden, surrounds the content or interrupts it."""
    name_panels(body)
    keep_questions(body)
    opened = _opened_by_controls(body)
    body.drop(lambda element: element not in opened and _is_hidden(element))
    body.drop(_is_furniture)
    _drop_line_numbers(body)
    lengths = text_lengths(body)
    # An element with half of the text is content, whatever its class.
    half = lengths[body] / 2
    body.drop(lambda element: lengths[element] <= half and _is_noise(element))
    drop_controls(body)


def _opened_by_controls(body: Element) -> set[Element]:
    """The hidden elements that a reader can open: the answers of an FAQ, tabs, details."""
    targets: set[str] = set()
    opened: set[Element] = set()
    for element in body.walk():
        for name in TARGETS:
            targets.update(part.removeprefix("#") for part in element.get(name).split())
        if element.tag in ("summary", "a"):
            targets.add(element.get("href").removeprefix("#"))
        for opener, panel in pairwise(list(element.elements())):
            if _is_hidden(panel) and _is_opener(opener):
                opened.add(panel)
    known = (one for one in body.walk() if one.get("id") in targets - {""})
    return opened.union(known)


def _is_opener(element: Element) -> bool:
    """True for an element that may open the hidden one after it: a heading, button or question."""
    if element.tag in QUESTIONS or element.find("summary", *HEADINGS):
        return True
    if element.get("role") == "button" or "aria-expanded" in element.attributes:
        return True
    return is_question(element)


def _is_hidden(element: Element) -> bool:
    role, style = element.get("role").lower(), element.get("style").replace(" ", "").lower()
    unseen = "hidden" in element.attributes or "display:none" in style
    if element.get("aria-hidden") == "true":
        return True
    # Tabs that are not open are hidden, but content.
    findable = role == "tabpanel" or element.get("hidden").lower() == "until-found"
    return unseen and not findable and element.tag not in ("dl", "dd", "body")


def _is_furniture(element: Element) -> bool:
    """True for what surrounds the content of a page, by its tag or role and its own content."""
    role = element.get("role").lower()
    if element.tag == "nav" or role in _DROPPED_ROLES:
        return True
    if role == "tablist":  # an accordion contains its panels
        return all(below.get("role") != "tabpanel" for below in element.walk())
    if element.tag == "a":
        return _is_edit_link(element)
    if element.tag not in ("header", "footer", "aside", "menu"):
        return False
    if element.tag in ("header", "footer") and element.find(*HEADINGS):
        return False
    if admonition_kinds(element):
        return False
    around = {above.tag for above in element.ancestors()}
    is_part = not around.isdisjoint(_SECTIONING)
    if "blockquote" in around or is_footnote(element):  # the footer of a quotation is its source
        return False
    if element.tag == "footer" and not is_part and _IMPRINT.search(element.text()):
        return True
    if element.tag in ("aside", "menu") or (element.tag == "header" and is_part):
        return len(unlinked_text(element).split()) < _MIN_ASIDE_WORDS
    return not has_running_text(element)


def _drop_line_numbers(body: Element) -> None:
    """Drop the numbers beside code in tables that lay it out, without heads of columns."""
    for table in body.walk():
        if table.tag != "table" or any(map(_is_column_head, table.walk())):
            continue
        for row in table.walk():
            cells = list(row.elements()) if row.tag == "tr" else []
            numbers = {
                cell for cell, code in pairwise(cells) if is_line_number(cell) and code.find("pre")
            }
            row.children = [child for child in row.children if child not in numbers]


def _is_column_head(element: Element) -> bool:
    """True for a heading cell, except for the file name that Pygments puts above code."""
    return element.tag == "th" and "filename" not in element.classes()


def _is_edit_link(link: Element) -> bool:
    """True for a link such as `Edit this page` that is on a line of its own."""
    if not (_EDIT_ADDRESS.search(link.get("href")) and _EDIT.fullmatch(link.words())):
        return False
    if any(above.tag in ("li", "td", "dd") for above in link.ancestors()):
        return False
    beside = link.parent.children if link.parent else []
    return len(beside) < _MAX_BESIDE and not any(
        one.strip() if isinstance(one, str) else one.tag not in ("a", *BLOCK_TAGS) for one in beside
    )


def _is_noise(element: Element) -> bool:
    """True for an element that its class or id calls furniture and that contains no prose."""
    names = (*element.classes(), element.get("id").lower())
    if element.tag in _NEVER_NOISE or not any(_NOISE.fullmatch(name) for name in names if name):
        return False
    is_short = len(element.words().split()) < _MAX_BANNER_WORDS
    if element.find(*HEADINGS):  # a newsletter to subscribe to may have a title
        asks = any(below.get("type") == "email" for below in element.walk())
        return is_short and asks and not has_running_text(element, "form", *HEADINGS)
    if element.tag in ("li", "span") and unlinked_text(element).strip():
        return any(_BESIDE_TEXT.fullmatch(name) for name in names if name)
    return (is_short and _asks_for_input(element)) or not has_running_text(element)


def _asks_for_input(element: Element) -> bool:
    """True for a form, and for a banner with buttons that accept or dismiss it."""
    return any(
        below.tag in ("input", "select", "textarea")
        or (below.tag == "button" and _DISMISSAL.match(below.words()))
        for below in element.walk()
    )


def has_running_text(element: Element, *without: str) -> bool:
    """True if an element contains prose outside links, controls and the tags `without`."""
    words = " ".join(unlinked_text(element, *without).split())
    return len(words.split()) >= _MIN_RUNNING_WORDS or bool(_SENTENCE.search(words))


def unlinked_text(element: Element, *without: str) -> str:
    """The text of an element outside of links, controls and the tags `without`."""
    if element.tag in ("a", *CONTROLS, *without):
        return ""
    return " ".join(
        one if isinstance(one, str) else unlinked_text(one, *without) for one in element.children
    )
