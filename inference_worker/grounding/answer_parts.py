"""Parses an answer into statements, each with its citations and checkable items."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

from inference_worker.grounding.checkable_items import Item, items_in_code, items_in_prose
from inference_worker.grounding.citations import cited_passages
from inference_worker.grounding.markup import INVISIBLE, read_marks
from inference_worker.grounding.statements import Marker, Statement, statements

_MASK = "\ufffc"
"""Replaces each character of inline code: part of no word and no address."""
_NOT_NEWLINE = re.compile(r"[^\n]")
_start = attrgetter("start")


def strip_invisible(text: str) -> tuple[str, Sequence[int]]:
    """Remove invisible characters; returns the text and each character's original offset."""
    if not INVISIBLE.search(text):
        return text, range(len(text))
    places = [at for at, character in enumerate(text) if not INVISIBLE.match(character)]
    return "".join(text[at] for at in places), places


def parse_answer(text: str, passages: int) -> tuple[list[Statement], list[Item]]:
    """Parse an answer; returns its statements, and all checkable items in order, code included."""
    pieces_of_prose: list[str] = []
    pieces_of_words: list[str] = []
    markers: list[Marker] = []
    items: list[Item] = []
    at = 0
    for mark in read_marks(text):
        masked = text_without_citations = mark.text
        if mark.kind == "citation":
            numbers, _ = cited_passages(mark.spans, passages)
            markers += [Marker(number, at, at + len(mark.text)) for number in numbers]
            masked = text_without_citations = " " * len(mark.text)
        elif mark.kind == "code":
            items += items_in_code(mark, at)
            masked = f"`{_MASK * (len(mark.text) - 2)}`"
        elif mark.kind == "fence":
            items += items_in_code(mark, at)
            masked = text_without_citations = _NOT_NEWLINE.sub(" ", mark.text)
        pieces_of_prose.append(masked)
        pieces_of_words.append(text_without_citations)
        at += len(mark.text)
    prose, words = "".join(pieces_of_prose), "".join(pieces_of_words)
    for item in items_in_prose(prose):
        is_masked = _MASK in item.text
        items.append(replace(item, text=text[item.start : item.end]) if is_masked else item)
    items.sort(key=lambda item: (item.start, -item.end))

    found = statements(prose)
    for statement in found:
        statement.full_text = words[statement.start : statement.end]
    found = found or [Statement(0, 0, "", full_text=words)]
    _assign_items(found, items)
    _assign_markers(found, markers, prose)
    return found, items


def _assign_items(found: Sequence[Statement], items: Sequence[Item]) -> None:
    """Add each item to the statement that it is in, if it is in any."""
    for item in items:
        statement = found[bisect_right(found, item.start, key=_start) - 1]
        if statement.start <= item.start < statement.end:
            statement.items.append(item)


def _assign_markers(found: Sequence[Statement], markers: Sequence[Marker], prose: str) -> None:
    """Add each citation to the statement that it is in or follows, or whose line it opens."""
    for marker in markers:
        at = max(0, bisect_right(found, marker.start, key=_start) - 1)
        if at + 1 < len(found) and found[at].end <= prose.rfind("\n", 0, marker.start) + 1:
            at += "\n" not in prose[marker.start : found[at + 1].start]
        found[at].markers.append(marker)
