"""Writes as text what a page shows by position alone: raised and lowered characters, note marks.

Without it, the text of `2<sup>32</sup>` would be "232".
"""

import re
from collections.abc import Sequence
from itertools import groupby

from dataset.conversion.html.element import BLOCK_TAGS, Element
from dataset.markdown import writer

_ENDS_LINE = BLOCK_TAGS | {"br"}
_NOTE_CLASSES = re.compile(r"(?:foot|end)?note[-_]?(?:ref(?:erence)?|link|anchor|mark)s?|fn-?ref")
_MAX_MARK_CHARACTERS = 12


def scripts_as_text(element: Element, before: str = "") -> str:
    """Replace raised, lowered and similar elements below by text.

    Args:
        element: Where to replace them.
        before: The text in front of the element, on the same line.

    Returns:
        The text in front of what follows the element.
    """
    for at, child in enumerate(element.children):
        if not isinstance(child, str):
            in_line = child.tag not in _ENDS_LINE
            if before.strip() and _is_note_mark(child):
                text: str | None = writer.note_mark(child.words())
            else:
                inside = scripts_as_text(child, before if in_line else "")
                text = _text_of(child, before)
            if text is None:
                before = inside if in_line else ""
                continue
            element.children[at] = child = text
        before += child[-_MAX_MARK_CHARACTERS:]
    element.children = _joined(element.children)
    return before[-_MAX_MARK_CHARACTERS:]


def _joined(children: Sequence[Element | str]) -> list[Element | str]:
    """Join neighbouring texts, so that each is escaped as a whole."""
    joined: list[Element | str] = []
    for is_text, group in groupby(children, lambda child: isinstance(child, str)):
        members = list(group)
        joined += ["".join(map(str, members))] if is_text else members
    return joined


def _text_of(element: Element, before: str) -> str | None:
    """The text that an element is replaced by; None for one that stays."""
    match element.tag:
        case "sup":  # at the start of a line, the mark of the note that follows
            return writer.raised(before, element.text()) + ("" if before.strip() else " ")
        case "sub":
            return writer.lowered(before, element.text())
        case "rt":
            return f"({element.words()})"
        case "rp" | "annotation":
            return ""
        case "msup" | "msub" | "mfrac" | "mroot":
            return _formula(element)
    return None


def _formula(element: Element) -> str:
    """A power, index or fraction of MathML, whose two parts are elements."""
    parts = [child.words() for child in element.elements()]
    if len(parts) != 2:
        return " ".join(parts)
    first, second = parts
    if element.tag == "mfrac":
        return "/".join(part if part.isalnum() else f"({part})" for part in parts)
    if element.tag == "mroot":
        return f"root({first}, {second})"
    return first + (writer.raised if element.tag == "msup" else writer.lowered)(first, second)


def _is_note_mark(element: Element) -> bool:
    """True for the mark of a footnote: a raised link, or a link that is declared to be one."""
    words = element.words()
    if not 0 < len(words) <= _MAX_MARK_CHARACTERS or element.tag not in ("a", "sup", "span"):
        return False
    link = element if element.tag == "a" else element.find("a")
    if link is None:
        return False
    declared = "noteref" in element.get("epub:type") or element.get("role") == "doc-noteref"
    raised = element.tag == "sup" or element.find("sup") is not None
    return raised or declared or any(map(_NOTE_CLASSES.fullmatch, element.classes()))
