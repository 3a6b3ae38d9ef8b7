"""Finds a page's main content, title, address and date."""

import re
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import urljoin

from dataset.conversion.html.tree import Element, HtmlPage
from dataset.dates import first_date

_DROPPED_TAGS = frozenset(("nav", "footer", "menu", "label", "fieldset"))
_DROPPED_ROLES = frozenset(
    ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "menu", "menubar",
     "toolbar", "tablist")
)  # fmt: skip
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
_NEVER_NOISE = ("h1", "h2", "h3", "h4", "h5", "h6", "a", "pre", "code")
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
    _drop(page.body, _is_noise_of_any_size)
    lengths = _lengths(page.body)
    half = lengths[page.body] / 2
    # An element with half of the text is content, whatever its class.
    _drop(page.body, lambda element: lengths[element] <= half and _is_noise(element))
    main = _main(page.body)
    _drop_contents_lists(main)
    if main.find("h1") is None:
        titles = [element for element in page.body.walk() if element.tag == "h1"]
        if len(titles) == 1:
            main.children.insert(0, titles[0])
    return main


def _main(body: Element) -> Element:
    for is_candidate in _CANDIDATES:
        found = [element for element in body.walk() if is_candidate(element)]
        sizes = {element: len(element.words()) for element in found}
        outermost = (one for one in found if sizes.keys().isdisjoint(one.ancestors()))
        total = sum(sizes[one] for one in outermost)
        largest = max(found, key=lambda element: sizes[element], default=None)
        if largest and sizes[largest] > _MIN_CONTENT_SHARE * total:
            return largest
    return body


def _is_noise_of_any_size(element: Element) -> bool:
    role, style = element.get("role").lower(), element.get("style").replace(" ", "").lower()
    if element.tag in _DROPPED_TAGS or role in _DROPPED_ROLES:
        return True
    if element.get("aria-hidden") == "true":
        return True
    unseen = "hidden" in element.attributes or "display:none" in style
    # Tabs that are not open are hidden, but content.
    return unseen and role != "tabpanel" and element.tag not in ("dl", "dd", "body")


def _is_noise(element: Element) -> bool:
    if element.tag == "header":
        return element.find("h1") is None
    classes = element.classes()
    if element.tag == "aside":
        return not any(ADMONITION.fullmatch(name) for name in classes)
    if element.tag in _NEVER_NOISE:
        return False
    return any(_NOISE.fullmatch(name) for name in (*classes, element.get("id").lower()) if name)


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
