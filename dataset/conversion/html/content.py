"""Finds a page's main content, title, address and date."""

import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import urljoin

from dataset.conversion.html.element import Element
from dataset.conversion.html.tree import HtmlPage
from dataset.dates import first_date

_DROPPED_ROLES = frozenset(
    ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar",
     "toolbar", "tablist")
)  # fmt: skip
_CONTROLS = frozenset(("button", "input", "select", "textarea"))
_NOISE = re.compile(
    r"(?:.*[-_])?(?:cookies?|consent|gdpr|onetrust|breadcrumbs?|pagination|pager|feedback|newsletter"
    r"|social|share|sharing|skip-?(?:link|nav|to-?content)|advert(?:isement)?s?|ads"
    r"|on-?this-?page|in-?this-?(?:page|article)|page-?toc|table-?of-?contents|tocbot|toc|localtoc"
    r"|edit-?(?:this-?page|link)|copy-?(?:button|btn)|copybtn|screen-?reader-?only|sr-only"
    r"|visually-?hidden|prev-?next|related-?links|navbar|site-?(?:header|footer|nav)"
    r"|line-?numbers?(?:-rows)?|linenos?|gutter|edit-?section|headerlink-?icon)(?:[-_].*)?"
)
ADMONITION = re.compile(
    r"(?:.*[-_])?(?P<kind>note|warning|tip|important|caution|danger|hint|attention|error|info"
    r"|seealso|admonition|callout|alert|versionadded|versionchanged|deprecated)(?:[-_].*)?"
)
_CONTENTS = re.compile(
    r"(?:on|in) this (?:page|article|section|guide)|(?:table of |page )?contents|topics?",
    re.IGNORECASE,
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NEVER_NOISE = (*_HEADINGS, "a", "pre", "code")
_SECTIONING = ("main", "article", "section", "figure", "td", "details")
_QUESTION_BUTTON = re.compile(r".*(?:accordion|collaps|expand|question|faq).*")
_SENTENCE = re.compile(r"\S+(?:\s+\S+){2,}[.:;!\u3002\uff01][\"')\]]?(?:\s|$)|[\u3002\uff01]")
_IMPRINT = re.compile(r"\u00a9|copyright|all rights reserved|privacy|imprint", re.IGNORECASE)
_FOOTNOTE = re.compile(r"(?<!\S)(?:doc-)?(?:foot|end|rear)notes?(?!\S)")
_MIN_RUNNING_WORDS = 8
_MAX_BANNER_WORDS = 60
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
    _keep_questions(page.body)
    opened = _opened_by_controls(page.body)
    _drop(page.body, lambda element: element not in opened and _is_hidden(element))
    _drop(page.body, _is_furniture)
    lengths = _lengths(page.body)
    half = lengths[page.body] / 2
    # An element with half of the text is content, whatever its class.
    _drop(page.body, lambda element: lengths[element] <= half and _is_noise(element))
    _drop(page.body, lambda element: element.tag in _CONTROLS)
    main = _main(page.body)
    _drop_contents_lists(main)
    if main.find("h1") is None:
        titles = [element for element in page.body.walk() if element.tag == "h1"]
        if len(titles) == 1:
            main.children.insert(0, titles[0])
    return main


def without_furniture(element: Element) -> Element:
    """A part of a page without buttons and other controls that are no text."""
    _keep_questions(element)
    _drop(element, lambda below: below.tag in _CONTROLS)
    return element


def _keep_questions(body: Element) -> None:
    """Make the buttons that are text, such as the questions of a collapsed FAQ, summaries."""
    for element in list(body.walk()):
        if element.tag != "button":
            continue
        opens = {"aria-expanded", "aria-controls", "data-target", "data-bs-target"}
        marked = any(map(_QUESTION_BUTTON.fullmatch, element.classes()))
        asked = element.words().endswith(("?", "\uff1f"))
        above = element.parent.tag if element.parent else ""
        if above in (*_HEADINGS, "summary", "dt"):
            element.tag = "span"
        elif element.words() and (opens & element.attributes.keys() or marked or asked):
            element.tag = "summary"


def _opened_by_controls(body: Element) -> set[Element]:
    """The hidden elements that a reader can open: the answers of an FAQ, tabs, details."""
    targets: set[str] = set()
    opened: set[Element] = set()
    for element in body.walk():
        for name in ("aria-controls", "data-target", "data-bs-target"):
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
    if element.tag in (*_HEADINGS, "summary", "dt") or element.find("summary", *_HEADINGS):
        return True
    return element.words().endswith(("?", "\uff1f"))


def _main(body: Element) -> Element:
    for is_candidate in _CANDIDATES:
        found = [element for element in body.walk() if is_candidate(element)]
        sizes = {element: len(element.words()) for element in found}
        outermost = (one for one in found if sizes.keys().isdisjoint(one.ancestors()))
        total = sum(sizes[one] for one in outermost)
        largest = max(found, key=lambda element: sizes[element], default=None)
        if largest and sizes[largest] > _MIN_CONTENT_SHARE * total:
            is_declared = is_candidate is _CANDIDATES[0]
            return largest if is_declared or _is_most_of(largest, body) else body
    return body


def _is_most_of(part: Element, body: Element) -> bool:
    """True for a part of a page with most of its text, or beside which there are no headings."""
    inside, total = len(_unlinked(part).split()), len(_unlinked(body).split())
    headings = [element for element in body.walk() if element.tag in _HEADINGS]
    return 2 * inside >= total or all(part in heading.ancestors() for heading in headings)


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
    if element.tag == "nav" or element.get("role").lower() in _DROPPED_ROLES:
        return True
    if element.tag not in ("header", "footer", "aside", "menu"):
        return False
    if element.tag == "header" and element.find("h1"):
        return False
    if any(ADMONITION.fullmatch(name) for name in element.classes()):
        return False
    around = {above.tag for above in element.ancestors()}
    is_part = not around.isdisjoint(_SECTIONING)
    if "blockquote" in around or is_footnote(element):  # the footer of a quotation is its source
        return False
    if element.tag == "footer" and not is_part and _IMPRINT.search(element.text()):
        return True
    if element.tag == "aside" and is_part and len(_unlinked(element).split()) > 1:
        return False
    return not _has_running_text(element)


def is_footnote(element: Element) -> bool:
    """True for a footnote or endnote, or a box of them."""
    declared = f"{element.get('epub:type')} {element.get('role')} {element.get('class')}".lower()
    return _FOOTNOTE.search(declared) is not None


def _is_noise(element: Element) -> bool:
    """True for an element that its class or id calls furniture and that contains no prose."""
    names = (*element.classes(), element.get("id").lower())
    if element.tag in _NEVER_NOISE or not any(_NOISE.fullmatch(name) for name in names if name):
        return False
    if element.find(*_HEADINGS):
        return False
    controls = element.find(*_CONTROLS) and len(element.words().split()) < _MAX_BANNER_WORDS
    return bool(controls) or not _has_running_text(element)


def _has_running_text(element: Element) -> bool:
    """True if an element contains prose outside links and controls."""
    words = " ".join(_unlinked(element).split())
    return len(words.split()) >= _MIN_RUNNING_WORDS or bool(_SENTENCE.search(words))


def _unlinked(element: Element) -> str:
    if element.tag in ("a", *_CONTROLS):
        return ""
    parts = (one if isinstance(one, str) else _unlinked(one) for one in element.children)
    return " ".join(parts)


def _drop(root: Element, unwanted: Callable[[Element], bool]) -> None:
    for element in root.walk():
        element.children = [
            child for child in element.children if isinstance(child, str) or not unwanted(child)
        ]


def _lengths(root: Element) -> dict[Element, int]:
    """The number of characters of text in each element."""
    found: dict[Element, int] = {}
    for element in reversed(list(root.walk())):
        found[element] = sum(
            len(child.strip()) if isinstance(child, str) else found[child]
            for child in element.children
        )
    return found


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
