"""The sentences of an answer: where each stands, and what leads to it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from database.searching.terms import STOP_WORDS, words
from dataset.sentences import sentences

_MIN_WORDS = 6
_MIN_CONTENT_WORDS = 3

_ITEM = re.compile(r"([ \t]*)(?:[-+*•]|\d{1,9}[.)])[ \t]+")
_HEADING = re.compile(r"[ \t]*(?:#{1,6}[ \t]|(?:\*\*|__)[^*_]+(?:\*\*|__):?[ \t]*$|[-*_ \t]{3,}$)")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}[-:| \t]*$")
_DEFINITION = re.compile(r"[ \t]*\[\^?\w{1,20}\]:")
_TELLS = (
    r"(?:address|answer|clarify|contain|cover|define|describe|detail|discuss|explain|give|include"
    r"|indicate|list|mention|offer|provide|say|show|specify|state|tell)"
)
_DOCUMENTATION = r"(?:passages?|documentation|documents?|sources?|context|excerpts?)"
_ABSENCE = re.compile(
    rf"\b{_DOCUMENTATION}\b.{{0,80}}?\b(?:do(?:es)?|did)(?:n.t| not) (?:\w+ ){{0,2}}{_TELLS}\b"
    rf"|\b{_DOCUMENTATION}\b.{{0,40}}?\b(?:lacks?|(?:{_TELLS}s?|has|have) (?:no|nothing))\b"
    rf"|\b(?:not|never|n.t) (?:\w+ ){{0,3}}(?:in|by|from) (?:\w+ ){{1,3}}{_DOCUMENTATION}\b"
    r"|\bno (?:\w+ ){0,2}(?:details?|guidance|information|mention) (?:about|for|in|is|of|on)\b",
    re.IGNORECASE,
)

StatementKind = Literal["paragraph", "item", "row"]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of a paragraph or list item, or a table's row."""

    start: int
    end: int
    shape: StatementKind
    text: str
    """Its words; code and citations are masked in it."""
    led_by: int | None = None
    """Which statement leads to it: the one ending in a colon before its list or table, or the item
    that it stands under."""

    def claims(self, items: int) -> bool:
        """Tell whether it says something about the matter; `items` are checkable things in it.

        A question, a lead-in and the remark that the passages do not say it claim nothing; a short
        phrase does so only with something checkable in it.
        """
        said = self.text.rstrip(" \t\r\n*_")
        if said.endswith(("?", ":", "？", "：")) or _ABSENCE.search(said):  # noqa: RUF001
            return False
        spoken = words(said)
        content = sum(word.lower() not in STOP_WORDS for word in spoken)
        return items > 0 or (len(spoken) >= _MIN_WORDS and content >= _MIN_CONTENT_WORDS)


@dataclass(slots=True)
class _Block:
    shape: StatementKind
    indent: int
    start: int
    end: int


def statements(text: str) -> list[Statement]:
    """Split an answer; its headings, rules and definitions are left out."""
    found: list[Statement] = []
    above: list[tuple[int, int]] = []
    lead: int | None = None
    for block in _blocks(text):
        if block is None:
            above, lead = [], None
            continue
        if block.shape == "paragraph":
            above, lead = [], None
        while above and above[-1][0] >= block.indent:
            above.pop()
        led_by = above[-1][1] if above else lead
        parts = list(_parts(text, block))
        found += [Statement(*part, block.shape, text[slice(*part)], led_by) for part in parts]
        if not parts:
            continue
        if block.shape == "item":
            above.append((block.indent, len(found) - 1))
        elif block.shape == "paragraph" and found[-1].text.rstrip(" *_").endswith((":", "：")):  # noqa: RUF001
            lead = len(found) - 1
    return found


def _parts(text: str, block: _Block) -> Iterator[tuple[int, int]]:
    """Where the sentences of a block stand; a row is one."""
    at = block.start
    said = text[block.start : block.end]
    for sentence in [said] if block.shape == "row" else sentences(said):
        start = text.index(sentence, at)
        at = start + len(sentence)
        inside = sentence.strip()
        if inside:
            start += len(sentence) - len(sentence.lstrip())
            yield start, start + len(inside)


def _blocks(text: str) -> Iterator[_Block | None]:
    """The answer's paragraphs, list items and rows; None for what ends a list."""
    lines = text.splitlines(keepends=True)
    block: _Block | None = None
    at = 0
    for number, line in enumerate(lines):
        start, at = at, at + len(line)
        stripped = line.strip()
        apart = _HEADING.match(line.rstrip()) or _DEFINITION.match(line)
        item = _ITEM.match(line)
        following = lines[number + 1] if number + 1 < len(lines) else ""
        begins = item or apart or stripped.startswith("|")
        if block and (begins or not stripped):
            yield block
            block = None
        if not stripped:
            continue
        if apart:
            yield None
        elif item:
            block = _Block("item", len(item[1].expandtabs(4)), start + item.end(), at)
        elif stripped.startswith("|"):
            if not _TABLE_RULE.match(line) and not _TABLE_RULE.match(following):
                yield _Block("row", 0, start, at)
        elif block:
            block.end = at
        else:
            # What stands indented after a blank line goes on with the item above it.
            indent = len(line) - len(line.lstrip())
            block = _Block("item" if indent >= 2 else "paragraph", indent, start, at)
    if block:
        yield block
