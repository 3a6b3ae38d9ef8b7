"""Numbers the lists of a page made from a Word file by the labels that its paragraphs state."""

import re

from dataset.conversion.html.element import Element
from dataset.conversion.office.word.elements import LABEL

_COUNTED = re.compile(r"(\d{1,8})[.)]")


def number_lists(body: Element) -> None:
    """Split lists wherever their numbers do not continue; put other labels before the text."""
    for element in list(body.walk()):
        if element.tag in ("ol", "ul"):
            _split(element)
    for element in body.walk():
        element.children = [
            LABEL.sub(r"\1 ", child) if isinstance(child, str) else child
            for child in element.children
        ]


def _split(listed: Element) -> None:
    """Replace a list by one or more, each of bullets or of numbers without a gap."""
    lists: list[Element] = []
    following = 0
    for item in listed.elements():
        label = _label(item)
        counted = _COUNTED.fullmatch(label)
        number = int(counted[1]) if counted else following
        tag = "ol" if counted else "ul" if label else listed.tag
        if counted:
            _drop_label(item)
        if not lists or lists[-1].tag != tag or number != following:
            start = {"start": str(number)} if counted else {}
            lists.append(Element(tag, {**listed.attributes, **start}, parent=listed.parent))
        item.parent = lists[-1]
        lists[-1].children.append(item)
        following = number + 1
    if listed.parent is not None:
        at = listed.parent.children.index(listed)
        listed.parent.children[at : at + 1] = lists


def _label(item: Element) -> str:
    element, at = _first_text(item)
    found = LABEL.match(str(element.children[at]).lstrip()) if at >= 0 else None
    return found[1] if found else ""


def _drop_label(item: Element) -> None:
    element, at = _first_text(item)
    element.children[at] = LABEL.sub("", str(element.children[at]), count=1)


def _first_text(item: Element) -> tuple[Element, int]:
    """The element with an item's first text, and its place there; -1 if it begins with a list."""
    for below in item.walk():
        if below.tag in ("ol", "ul"):
            break
        for at, child in enumerate(below.children):
            if isinstance(child, str) and child.strip():
                return below, at
            if not isinstance(child, str) and child.text().strip():
                break
    return item, -1
