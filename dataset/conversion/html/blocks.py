"""Writes block-level HTML: headings with their anchors, lists, code, notes, tables."""

import re
from dataclasses import dataclass, field
from itertools import takewhile

from dataset.conversion.html.code import code_block
from dataset.conversion.html.element import BLOCK_TAGS, Element
from dataset.conversion.html.inline import Inline, is_permalink
from dataset.conversion.html.notes import admonition_kinds, is_footnote
from dataset.conversion.html.numbering import numbered_items
from dataset.conversion.html.table import is_layout, table_blocks
from dataset.markdown.writer import callout, code, indent, labelled, list_item, note_mark, quotation

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ANCHOR = re.compile(r"[^\s\"'<>]{1,200}")
_MAX_NOTE_CHARACTERS = 6000
"""A longer box is part of the page, not a note."""
_NAMES = {
    "admonition": "Note", "alert": "Note", "callout": "Note", "information": "Info",
    "seealso": "See also",
}  # fmt: skip
"""The names of the kinds of notes whose class is not their name."""
_LABEL = re.compile(r".*(?:title|heading|label|header).*")
_MAX_LABEL_CHARACTERS = 60


@dataclass(slots=True)
class Blocks:
    """Writes blocks in order; an anchor is kept until the next heading."""

    inline: Inline
    holders: set[Element]
    """The elements that contain blocks."""
    waiting_anchor: str = ""
    written_anchors: set[str] = field(default_factory=set)

    def write(self, items: list[Element | str], in_item: bool = False) -> list[str]:
        """Write an element's content as blocks.

        Args:
            items: The content.
            in_item: True in a list item or a cell, where a heading cannot begin a section.
        """
        written: list[str] = []
        line: list[Element | str] = []

        def end_line() -> None:
            if paragraph := self.inline.write(line):
                written.append(paragraph)
                self.waiting_anchor = ""
            line.clear()

        for item in items:
            if isinstance(item, Element) and (item.tag in BLOCK_TAGS or item in self.holders):
                end_line()
                if blocks := self.block(item, in_item):
                    written += blocks
                    self.waiting_anchor = ""
                continue
            if isinstance(item, Element) and not item.text().strip():
                # The anchor of an empty element may be the next heading's.
                self.waiting_anchor = anchor_of(item) or self.waiting_anchor
            line.append(item)
        end_line()
        return written

    def block(self, element: Element, in_item: bool) -> list[str]:
        """Write one block-level element as blocks of markdown."""
        tag = element.tag
        if tag in _HEADINGS:
            return self._heading(element, in_item)
        if tag == "pre":
            return [block] if (block := code_block(element)) else []
        if tag in ("ul", "ol", "menu", "dir"):
            return self._list(element)
        if tag == "dl":
            return self._definitions(element)
        if tag == "table" and not is_layout(element):
            return table_blocks(element, lambda cell: self.write(cell.children, in_item=True))
        if tag == "hr":
            return []
        if tag == "blockquote" and not _note_kind(element):
            quoted = "\n\n".join(self.write(element.children, in_item))
            return [quotation(quoted)] if quoted else []
        if tag in ("summary", "legend", "caption", "figcaption"):
            words = self.inline.one_line(element.children)
            bold = tag == "summary" and "*" not in words
            return [f"**{words}**" if bold else words] if words else []
        if kind := _note_kind(element):
            return self._note(kind, element)
        self.waiting_anchor = anchor_of(element) or self.waiting_anchor
        if is_footnote(element) and (label := _label_of_footnote(element)):
            return callout(note_mark(label), self.write(element.children, in_item))
        return self.write(element.children, in_item)

    def _heading(self, element: Element, in_item: bool) -> list[str]:
        anchor = _heading_anchor(element) or self.waiting_anchor
        shown = [
            child for child in element.children if isinstance(child, str) or not is_permalink(child)
        ]
        words = self.inline.one_line(shown).rstrip("¶ ").strip()
        if not words:
            self.waiting_anchor = anchor
            return []
        if in_item:
            return [f"**{words.replace('**', '')}**"]
        is_new = anchor and anchor not in self.written_anchors
        self.written_anchors.add(anchor)
        named = f'<a name="{anchor}"></a>' if is_new else ""
        return [f"{'#' * _HEADINGS[element.tag]} {words}{named}"]

    def _list(self, element: Element) -> list[str]:
        items: list[str] = []
        for child, mark, letters in numbered_items(element):
            nested = child.tag in ("ul", "ol")  # a nested list beside the items instead of in one
            blocks = self._list(child) if nested else self.write(child.children, in_item=True)
            if blocks and nested and items:
                items[-1] += "\n" + indent("\n".join(blocks), len(mark))
            elif blocks:
                items.append(list_item(mark, labelled(letters, blocks) if letters else blocks))
        loose = any("\n\n" in item for item in items)
        return [("\n\n" if loose else "\n").join(items)] if items else []

    def _definitions(self, element: Element) -> list[str]:
        """Write `- **term**: explanation` items, or paragraphs if an explanation is long."""
        pairs = definitions_of(element)
        explained = [(terms, self.write(parts, in_item=True)) for terms, parts in pairs]
        long = any(len(blocks) > 3 or "```" in "\n".join(blocks) for _, blocks in explained)
        written: list[str] = []
        for terms, blocks in explained:
            term = ", ".join(filter(None, map(self._term, terms)))
            name = term if not term or "**" in term or term.startswith("`") else f"**{term}**"
            parts = [name, *blocks] if name else blocks
            if long:
                written += parts
            elif name and blocks and not blocks[0].startswith(("- ", "1. ", "|", ">")):
                written.append(list_item("- ", [f"{name}: {blocks[0]}", *blocks[1:]]))
            elif parts:
                written.append(list_item("- ", parts))
        return written if long or not written else ["\n".join(written)]

    def _term(self, term: Element) -> str:
        if "sig" in term.classes():  # the signature of a function, as Sphinx writes it
            return code(_signature(term))
        return self.inline.one_line(term.children).rstrip(":")

    def _note(self, kind: str, element: Element) -> list[str]:
        label = self._own_label(element) or kind
        blocks = self.write(element.children, in_item=True)
        if blocks and blocks[0].strip("*_: \n").lower() in (label.lower(), f"{label.lower()}s"):
            blocks = blocks[1:]
        if not blocks or blocks[0].replace("*", "").lower().startswith(f"{label.lower()}:"):
            return blocks
        return callout(label, blocks)

    def _own_label(self, note: Element) -> str:
        """Remove and return the title of a note that has one."""
        for below in note.walk():
            titled = below.tag in _HEADINGS or any(map(_LABEL.fullmatch, below.classes()))
            if below is not note and titled and below.parent is not None:
                words = self.inline.one_line(below.children).strip(" :*")
                is_name = any(map(str.isalnum, words))  # else an icon or a sign
                is_short = 0 < len(words) <= _MAX_LABEL_CHARACTERS
                if is_short and (is_name or below.tag in _HEADINGS):
                    below.parent.children.remove(below)
                    if is_name:
                        return words
        return ""


def _signature(term: Element) -> str:
    """A signature without the links to itself and to its source, in one line."""
    term.drop(
        lambda below: (
            below.tag == "a" and ("headerlink" in below.classes() or below.words() == "[source]")
        )
    )
    for below in term.walk():
        below.children = [
            " " if isinstance(child, Element) and child.tag == "br" else child
            for child in below.children
        ]
    return term.words()


def _label_of_footnote(note: Element) -> str:
    """Remove and return the label of a footnote, as docutils writes it."""
    first = next(note.elements(), None)
    if first is None or "label" not in first.classes():
        return ""
    note.children.remove(first)
    return first.words()


def holders_of(root: Element) -> set[Element]:
    """All elements that contain blocks, so that a link around a heading is split."""
    holders: set[Element] = set()
    for element in root.walk():
        if element.tag in BLOCK_TAGS:
            holders.update(takewhile(lambda above: above not in holders, element.ancestors()))
    return holders


def anchor_of(element: Element) -> str:
    """The anchor of an element; "" if it has none."""
    names = (element.get("id"), element.get("name") if element.tag == "a" else "")
    return next(filter(_ANCHOR.fullmatch, names), "")


def _heading_anchor(heading: Element) -> str:
    inside = [below for below in heading.walk() if below.tag in ("a", "span")]
    named = filter(None, map(anchor_of, (heading, *inside)))
    linked = (below.get("href")[1:] for below in inside if is_permalink(below))
    return next(named, "") or next(filter(_ANCHOR.fullmatch, linked), "")


def _note_kind(element: Element) -> str:
    """The kind of a note, by its class; "" for an element that is none."""
    role = element.get("role") == "note"
    if element.tag not in ("div", "aside", "section", "blockquote") and not role:
        return ""
    found = admonition_kinds(element)
    if not (found or role) or element.find("h1", "h2"):
        return ""
    if len(element.words()) > _MAX_NOTE_CHARACTERS:
        return ""
    best = min(found, key=lambda kind: _NAMES.get(kind) == "Note", default="note")
    return _NAMES.get(best, best.capitalize())


def definitions_of(element: Element) -> list[tuple[list[Element], list[Element | str]]]:
    """The groups of terms in a definition list, each with its explanation."""
    pairs: list[tuple[list[Element], list[Element | str]]] = []
    for child in element.elements():
        if child.tag == "div":
            pairs += definitions_of(child)
            continue
        if not pairs or (child.tag == "dt" and pairs[-1][1]):
            pairs.append(([], []))  # a term after an explanation starts the next group
        terms, explanation = pairs[-1]
        (terms if child.tag == "dt" else explanation).append(child)
    return pairs
