"""Recognises notes by their classes and roles: boxes beside the text, and footnotes."""

import re

from dataset.conversion.html.element import Element

_BOXES = r"admonition(?:block)?|admon|alert|aside|awsdocs|callout|custom-block|hint|macro|notices?"
_BOX = re.compile(rf"(?:.*[-_])?(?:{_BOXES})(?:[-_].*)?")
_KINDS = "note|warning|tip|important|caution|danger|hint|attention|seealso|admonition|callout|alert"
_ADMONITION = re.compile(
    rf"(?P<kind>{_KINDS})|(?:.*[-_])?(?:{_BOXES})--?(?P<boxed>{_KINDS}|error|info(?:rmation)?)"
)
_FOOTNOTE = re.compile(r"(?<!\S)(?:doc-)?(?:foot|end|rear)notes?(?!\S)")


def admonition_kinds(element: Element) -> list[str]:
    """The kinds of note that the classes of an element state, as generators of pages write them.

    A class such as `info` marks a note only beside the class of a box.
    """
    names = element.classes()
    found = [one["kind"] or one["boxed"] for one in map(_ADMONITION.fullmatch, names) if one]
    in_box = any(map(_BOX.fullmatch, names))
    return found + [name for name in names if in_box and name in ("error", "info")]


def is_footnote(element: Element) -> bool:
    """True for a footnote or endnote, or a box of them."""
    declared = f"{element.get('epub:type')} {element.get('role')} {element.get('class')}".lower()
    return _FOOTNOTE.search(declared) is not None
