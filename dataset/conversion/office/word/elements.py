"""Creates elements of Word files."""

import re
from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import W

LABEL = re.compile("\ufdd0([^\ufdd0\ufdd1]*)\ufdd1")
"""The label of a paragraph in a list, between two characters that never occur in text."""


def word_element(tag: str, *children: Element) -> Element:
    """An element with its children."""
    element = Element(tag)
    element.extend(children)
    return element


def word_characters(words: str) -> Element:
    """The characters of a run."""
    text = Element(f"{W}t")
    text.text = words
    return text


def word_label(label: str) -> Element:
    """A run that states the label of its paragraph."""
    return word_element(f"{W}r", word_characters(f"\ufdd0{label}\ufdd1"))


def word_paragraph(words: str) -> Element:
    """A paragraph of plain text."""
    return word_element(f"{W}p", word_element(f"{W}r", word_characters(words)))
