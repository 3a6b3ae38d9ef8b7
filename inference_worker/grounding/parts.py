"""Takes an answer apart: its sentences, each with its citations and what is checkable in it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter

from inference_worker.grounding.checkable import Item, items_in_code, items_in_prose
from inference_worker.grounding.citations import cited_passages
from inference_worker.grounding.markup import INVISIBLE, Mark, read_marks
from inference_worker.grounding.statements import Statement, statements

_MASK = "\ufffc"
"""Stands for a character of inline code: part of no word and no address."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A citation of one passage in an answer."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class Sentence:
    """A statement with what stands in it."""

    statement: Statement
    spoken: str
    """Its words, code included and citations left out."""
    markers: list[Marker] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)


def strip_invisible(text: str) -> tuple[str, Sequence[int]]:
    """Give the text as it shows, and for each of its characters the place in the text."""
    if not INVISIBLE.search(text):
        return text, range(len(text))
    places = [at for at, character in enumerate(text) if not INVISIBLE.match(character)]
    return "".join(text[at] for at in places), places


def parse_answer(text: str, passages: int) -> tuple[list[Sentence], list[Item]]:
    """Give an answer's sentences, and all that is checkable in it in order, code included."""
    prose: list[str] = []
    spoken: list[str] = []
    markers: list[Marker] = []
    items: list[Item] = []
    at = 0
    for mark in _with_whole_fences(read_marks(text)):
        end = at + len(mark.text)
        masked = said = mark.text
        if mark.kind == "citation":
            numbers, _ = cited_passages(mark.spans, passages)
            markers += [Marker(number, at, end) for number in numbers]
            masked = said = " " * len(mark.text)
        elif mark.kind == "code":
            items += items_in_code(mark, at)
            masked = f"`{_MASK * (len(mark.text) - 2)}`"
        elif mark.kind == "fence":
            items += items_in_code(mark, at)
            masked = said = "".join("\n" if each == "\n" else " " for each in mark.text)
        prose.append(masked)
        spoken.append(said)
        at = end
    items += (_unmasked(item, text) for item in items_in_prose("".join(prose)))
    items.sort(key=lambda item: (item.start, -item.end))
    return _sentences("".join(prose), "".join(spoken), markers, items), items


def _with_whole_fences(marks: Sequence[Mark]) -> Sequence[Mark]:
    whole: list[Mark] = []
    for kind, group in groupby(marks, key=attrgetter("kind")):
        each = list(group)
        whole += [Mark("fence", "".join(mark.text for mark in each))] if kind == "fence" else each
    return whole


def _unmasked(item: Item, text: str) -> Item:
    return replace(item, text=text[item.start : item.end]) if _MASK in item.text else item


def _sentences(
    prose: str, spoken: str, markers: Sequence[Marker], items: Sequence[Item]
) -> list[Sentence]:
    found = [Sentence(each, spoken[each.start : each.end]) for each in statements(prose)]
    if not found:
        found = [Sentence(Statement(0, 0, "paragraph", ""), spoken)]
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
    """Tell whether a citation stands at the start of the next sentence's line."""
    line = prose.rfind("\n", 0, marker.start) + 1
    return before.statement.end <= line and prose.find("\n", marker.start, next_start) < 0
