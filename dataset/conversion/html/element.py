"""One element of a parsed page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

BLOCK_TAGS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details",
    "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "legend", "li", "main",
    "menu", "nav", "ol", "optgroup", "p", "pre", "search", "section", "summary", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
"""The elements that begin and end a line."""
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(slots=True, eq=False)
class Element:
    """A tag with its content."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)
    parent: "Element | None" = None

    def get(self, name: str) -> str:
        """An attribute's value; "" if it is missing."""
        return self.attributes.get(name, "")

    def elements(self) -> Iterator["Element"]:
        """Yield the child elements."""
        return (child for child in self.children if isinstance(child, Element))

    def walk(self) -> Iterator["Element"]:
        """Yield this element and all below it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(list(element.elements())))

    def ancestors(self) -> Iterator["Element"]:
        """Yield the elements around this one, innermost first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def find(self, *tags: str) -> "Element | None":
        """The first element below with one of these tags."""
        return next(
            (found for found in self.walk() if found is not self and found.tag in tags), None
        )

    def drop(self, unwanted: Callable[["Element"], bool]) -> None:
        """Drop the elements below of which `unwanted` is true."""
        for element in self.walk():
            element.children = [
                child for child in element.children if isinstance(child, str) or not unwanted(child)
            ]

    def text(self) -> str:
        """All text below, unchanged."""
        return "".join([one if isinstance(one, str) else one.text() for one in self.children])

    def words(self) -> str:
        """All text below in one line."""
        return " ".join(self.text().split())

    def classes(self) -> list[str]:
        """Its classes, in lower case."""
        return self.get("class").lower().split()


def text_lengths(root: Element) -> dict[Element, int]:
    """The number of letters and digits in each element."""
    found: dict[Element, int] = {}
    for element in reversed(list(root.walk())):
        found[element] = sum(
            sum(map(str.isalnum, child)) if isinstance(child, str) else found[child]
            for child in element.children
        )
    return found
