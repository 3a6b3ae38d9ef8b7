"""Splits an answer into statements, each with its place and what leads to it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from database.searching.terms import STOP_WORDS, words
from dataset.markdown.syntax import SourceBlock, blocks
from dataset.sentences import sentences
from inference_worker.grounding.checkable_items import Item

_MIN_WORDS = 6
_MIN_CONTENT_WORDS = 3
_MIN_ITEM_INDENT = 2
"""Columns from which on a paragraph belongs to the list item above it."""

_STATES = (
    r"(?:address|answer|clarify|contain|cover|define|describe|detail|discuss|explain|give|include"
    r"|indicate|list|mention|offer|provide|say|show|specify|state|tell)"
)
_DOCUMENTATION = r"(?:passages?|documentation|documents?|sources?|context|excerpts?)"
_ABSENCE = re.compile(
    rf"\b{_DOCUMENTATION}\b.{{0,80}}?\b(?:do(?:es)?|did)(?:n.t| not) (?:\w+ ){{0,2}}{_STATES}\b"
    rf"|\b{_DOCUMENTATION}\b.{{0,40}}?\b(?:lacks?|(?:{_STATES}s?|has|have) (?:no|nothing))\b"
    rf"|\b(?:not|never|n.t) (?:\w+ ){{0,3}}(?:in|by|from) (?:\w+ ){{1,3}}{_DOCUMENTATION}\b"
    r"|\bno (?:\w+ ){0,2}(?:details?|guidance|information|mention) (?:about|for|in|is|of|on)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Marker:
    """A citation of one passage in an answer."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class Statement:
    """A sentence of a paragraph or list item, or a table's row, with its citations and items."""

    start: int
    end: int
    text: str
    """Its text, with code and citations masked."""
    led_by: int | None = None
    """Index of the statement leading to it: the one with a colon before its list or table, or the
    item that it is nested under."""
    full_text: str = ""
    """Its text with code, and with citations blanked."""
    markers: list[Marker] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    @property
    def is_claim(self) -> bool:
        """True if it states something that needs a citation.

        A question, a lead-in, or the remark that the passages do not answer is not a claim; a
        short phrase is one only if it contains checkable items.
        """
        text = self.text.rstrip(" \t\r\n*_")
        if text.endswith(("?", ":", "？", "：")) or _ABSENCE.search(text):  # noqa: RUF001
            return False
        spoken_words = words(text)
        content = sum(word.lower() not in STOP_WORDS for word in spoken_words)
        is_long = len(spoken_words) >= _MIN_WORDS and content >= _MIN_CONTENT_WORDS
        return bool(self.items) or is_long


def statements(text: str) -> list[Statement]:
    """Split an answer, its code masked, into statements.

    Headings, horizontal lines, definitions and a table's head are left out.
    """
    found: list[Statement] = []
    above: list[tuple[int, int]] = []
    lead: int | None = None
    for block in blocks(text):
        if block.kind in ("table_head", "table_rule", "code"):
            continue
        is_indented = block.kind == "text" and block.indent >= _MIN_ITEM_INDENT
        is_item = block.kind == "item" or is_indented
        if not is_item and block.kind != "row":
            above, lead = [], None
            if block.kind != "text":
                continue
        while above and above[-1][0] >= block.indent:
            above.pop()
        led_by = above[-1][1] if above else lead
        spans = list(_sentence_spans(text, block))
        found += [Statement(*span, text[slice(*span)], led_by) for span in spans]
        if spans and is_item:
            above.append((block.indent, len(found) - 1))
        elif spans and block.kind == "text" and found[-1].text.rstrip(" *_").endswith((":", "：")):  # noqa: RUF001
            lead = len(found) - 1
    return found


def _sentence_spans(text: str, block: SourceBlock) -> Iterator[tuple[int, int]]:
    """Locate the sentences of a block in the text; a row is one."""
    at = block.start
    split = [text[block.span]] if block.kind == "row" else sentences(text[block.span])
    for sentence in filter(None, map(str.strip, split)):
        start = text.index(sentence, at)
        at = start + len(sentence)
        yield start, at
