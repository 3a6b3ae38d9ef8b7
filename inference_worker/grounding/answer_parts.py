"""Parses an answer into sentences, each with its citations and checkable items."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter

from inference_worker.grounding.checkable_items import Item, items_in_code, items_in_prose
from inference_worker.grounding.citations import cited_passages
from inference_worker.grounding.markup import INVISIBLE, Mark, read_marks
from inference_worker.grounding.statements import Statement, statements

_MASK = "\ufffc"
"""Replaces each character of inline code: part of no word and no address."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A citation of one passage in an answer."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class Sentence:
    """A statement with its citations and items."""

    statement: Statement
    words: str
    """Its text, code included, citations blanked."""
    markers: list[Marker] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


def strip_invisible(text: str) -> tuple[str, Sequence[int]]:
    """Remove invisible characters; returns the text and each character's original offset."""
    if not INVISIBLE.search(text):
        return text, range(len(text))
    places = [at for at, character in enumerate(text) if not INVISIBLE.match(character)]
    return "".join(text[at] for at in places), places


def parse_answer(text: str, passages: int) -> tuple[list[Sentence], list[Item]]:
    """Parse an answer; returns its sentences, and all checkable items in order, code included."""
    prose: list[str] = []
    words: list[str] = []
    markers: list[Marker] = []
    items: list[Item] = []
    at = 0
    for mark in _with_whole_fences(read_marks(text)):
        end = at + len(mark.text)
        masked = text_without_citations = mark.text
        if mark.kind == "citation":
            numbers, _ = cited_passages(mark.spans, passages)
            markers += [Marker(number, at, end) for number in numbers]
            masked = text_without_citations = " " * len(mark.text)
        elif mark.kind == "code":
            items += items_in_code(mark, at)
            masked = f"`{_MASK * (len(mark.text) - 2)}`"
        elif mark.kind == "fence":
            items += items_in_code(mark, at)
            masked = text_without_citations = "".join(
                "\n" if each == "\n" else " " for each in mark.text
            )
        prose.append(masked)
        words.append(text_without_citations)
        at = end
    items += (_unmasked(item, text) for item in items_in_prose("".join(prose)))
    items.sort(key=lambda item: (item.start, -item.end))
    return _sentences("".join(prose), "".join(words), markers, items), items


def _with_whole_fences(marks: Sequence[Mark]) -> Sequence[Mark]:
    whole: list[Mark] = []
    for kind, group in groupby(marks, key=attrgetter("kind")):
        each = list(group)
        whole += [Mark("fence", "".join(mark.text for mark in each))] if kind == "fence" else each
    return whole


def _unmasked(item: Item, text: str) -> Item:
    return replace(item, text=text[item.start : item.end]) if _MASK in item.text else item


def _sentences(
    prose: str, words: str, markers: Sequence[Marker], items: Sequence[Item]
) -> list[Sentence]:
    found = [Sentence(each, words[each.start : each.end]) for each in statements(prose)]
    if not found:
        found = [Sentence(Statement(0, 0, "paragraph", ""), words)]
    starts = [each.statement.start for each in found]
    for item in items:
        sentence = found[bisect_right(starts, item.start) - 1]
        if sentence.statement.start <= item.start < sentence.statement.end:
            sentence.items.append(item)
    for marker in markers:
        at = max(0, bisect_right(starts, marker.start) - 1)
        if at + 1 < len(found) and _opens_line(prose, marker, found[at], starts[at + 1]):
            at += 1
        found[at].markers.append(marker)
    return found


def _opens_line(prose: str, marker: Marker, before: Sentence, next_start: int) -> bool:
    """True if the citation is at the start of the next sentence's line."""
    line = prose.rfind("\n", 0, marker.start) + 1
    return before.statement.end <= line and prose.find("\n", marker.start, next_start) < 0
