"""Reads buttons and other controls: as text where they are part of it, else not at all."""

import re

from dataset.conversion.html.element import HEADINGS, Element, text_lengths
from dataset.conversion.html.tabs import TARGETS, name_panels

CONTROLS = frozenset(("button", "input", "select", "textarea"))
QUESTIONS = (*HEADINGS, "summary", "dt")
_OPENS = frozenset(("aria-expanded", "onclick", *TARGETS))
_NOTION_BOXES = {"checkbox-on": "[x] ", "checkbox-off": "[ ] "}
_QUESTION_CLASS = re.compile(r".*(?:accordion|collaps|expand|question|faq).*")


def without_controls(element: Element) -> Element:
    """A part of a page without buttons and other controls that are no text."""
    name_panels(element)
    keep_questions(element)
    drop_controls(element)
    return element


def keep_questions(body: Element) -> None:
    """Make the buttons that are text, such as the questions of a collapsed FAQ, summaries."""
    lengths = text_lengths(body)
    for around in list(body.walk()):
        buttons = [child for child in around.elements() if child.tag == "button"]
        if not buttons:
            continue
        in_sentence = _is_sentence(around)
        above = (around, *around.ancestors())
        question = next((one for one in above if one.tag in QUESTIONS), None)
        for button in buttons:
            opens = not _OPENS.isdisjoint(button.attributes) or is_question(button)
            is_part = question and (opens or lengths[button] == lengths[question])
            if is_part or in_sentence:
                button.tag = "span"
            elif opens and button.words():
                button.tag = "summary"


def _is_sentence(around: Element) -> bool:
    """True if buttons stand between words of a paragraph, as in `Click the [Save] button`."""
    return around.tag in ("p", "li", "td", "dd") and any(
        isinstance(one, str) and one.strip(" \n\t|/,") for one in around.children
    )


def is_question(element: Element) -> bool:
    """True for an element with the class of a question, or that ends with a question mark."""
    marked = any(map(_QUESTION_CLASS.fullmatch, element.classes()))
    return marked or element.words().endswith(("?", "\uff1f"))


def drop_controls(root: Element) -> None:
    """Drop controls, but for the boxes of tasks, which show what is done: `[x]` or `[ ]`."""
    for element in root.walk():
        if element.tag == "pre":
            element.drop(lambda below: below.tag in CONTROLS)
        element.children = [_box_or_space(child) for child in element.children]


def _box_or_space(child: Element | str) -> Element | str:
    if isinstance(child, str):
        return child
    if child.get("type") == "checkbox" and _is_of_task(child):
        return "[x] " if "checked" in child.attributes else "[ ] "
    if child.tag in ("div", "span") and not child.children:
        shown = map(_NOTION_BOXES.get, child.classes())
        return next(filter(None, shown), child)
    return " " if child.tag in CONTROLS else child


def _is_of_task(box: Element) -> bool:
    around = " ".join(above.get("class") for above in box.ancestors() if above.tag in ("li", "ul"))
    return "disabled" in box.attributes or "task-list" in around
