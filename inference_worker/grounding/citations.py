"""Cleans an answer as it arrives: its citations, and pictures, which it may not have."""

import re
from collections.abc import Iterable, Iterator

from inference_worker.grounding.markup import Mark, MarkupReader

_GAP = re.compile(r"[ \t]{0,8}(?:\([ \t]{0,8})?\Z")
_MAX_GAP = 17
_CLOSING = ".,;:!?)\r\n…。，、；：！？"  # noqa: RUF001 (an answer may be in Chinese)
"""What no space stands before."""


class CitationFilter:
    """Makes every citation `[n]`, and takes out those that point to no passage.

    What a removed citation leaves behind goes with it: the space before it, or the one after it at
    the start of a line, and brackets that held nothing else. However the text is cut into pieces,
    what comes out is the same.
    """

    def __init__(self, passages: int) -> None:
        self.removed = 0
        """Numbers cited so far that are no passage's."""
        self._passages = passages
        self._reader = MarkupReader()
        self._gap = ""
        self._after_removed = False
        self._at_line_start = True
        self._after_bang = False

    def feed(self, piece: str) -> str:
        """Take the next piece, and give what can be said now."""
        return "".join(self._cleaned(self._reader.feed(piece)))

    def finish(self) -> str:
        """Give the rest: nothing more comes."""
        rest = "".join(self._cleaned(self._reader.finish()))
        gap, self._gap = self._gap, ""
        return rest if self._after_removed and "(" not in gap else rest + gap

    def _cleaned(self, marks: Iterable[Mark]) -> Iterator[str]:
        for mark in marks:
            if mark.kind == "text":
                said = self._text(mark.text)
            elif mark.kind == "citation":
                said = self._citation(mark)
            else:
                said, self._gap, self._after_removed = self._gap + mark.text, "", False
            if mark.kind == "text":
                said = self._without_pictures(said)
            if said:
                self._at_line_start = said.endswith("\n")
                self._after_bang = said.endswith("!") and mark.kind == "text"
                yield said

    def _without_pictures(self, said: str) -> str:
        """Make of a picture its words: who shows it would fetch an address that the model chose."""
        if self._after_bang and said.startswith("["):
            said = f"\\{said}"
        return said.replace("![", "!\\[")

    def _citation(self, mark: Mark) -> str:
        numbers, pointing_nowhere = cited_passages(mark.spans, self._passages)
        self.removed += pointing_nowhere
        self._after_removed = not numbers
        if not numbers:
            return ""
        gap, self._gap = self._gap, ""
        return gap + "".join(f"[{number}]" for number in numbers)

    def _text(self, text: str) -> str:
        """Give the text but for the space at its end, which goes if what follows is removed."""
        if self._after_removed:
            if self._gap or self._at_line_start:
                text = text.lstrip(" \t")
            if not text:
                return ""
            text = self._closed(text)
        text = self._gap + text
        gap = _GAP.search(text, max(0, len(text) - _MAX_GAP))
        self._gap = gap[0] if gap else ""
        return text[: len(text) - len(self._gap)]

    def _closed(self, text: str) -> str:
        """Settle what stood before a removed citation, now that what follows is known."""
        self._after_removed = False
        bracketed = "(" in self._gap
        if bracketed and text[0] == ")":
            self._gap, text = "", text[1:]
        elif not bracketed and text[0] in _CLOSING:
            self._gap = ""
        return text


def cited_passages(spans: Iterable[tuple[int, int]], passages: int) -> tuple[list[int], int]:
    """List the passages that a citation names, each once, and count its numbers that are none.

    Of a range that goes too far only its ends count: they are what was written.
    """
    numbers: dict[int, None] = {}
    nowhere = 0
    for first, last in spans:
        nowhere += sum(not 1 <= end <= passages for end in {first, last})
        if first <= last:
            numbers |= dict.fromkeys(range(max(first, 1), min(last, passages) + 1))
        else:
            numbers |= dict.fromkeys(end for end in (first, last) if 1 <= end <= passages)
    return list(numbers), nowhere
