"""Normalises the citations of a streamed answer."""

import re
from collections.abc import Iterable, Iterator

from inference_worker.grounding.markup import Mark, MarkupReader

_GAP = re.compile(r"[ \t]{0,8}(?:\([ \t]{0,8})?\Z")
_MAX_GAP = 17
_CLOSING = ".,;:!?)\r\n…。，、；：！？"  # noqa: RUF001 (an answer may be in Chinese)
"""Characters without a space before them."""


class CitationFilter:
    """Rewrites every citation as `[n]`, and removes citations of passages that do not exist.

    With a citation, it removes the space before it (after it at the start of a line) and
    parentheses around it that contain nothing else. The result does not depend on how the text is
    cut into pieces.
    """

    def __init__(self, passages: int) -> None:
        self.removed = 0
        """Number of cited passages so far that do not exist."""
        self._passages = passages
        self._reader = MarkupReader()
        self._gap = ""
        self._after_removed = False
        self._at_line_start = True

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final."""
        return "".join(self._cleaned(self._reader.feed(piece)))

    def finish(self) -> str:
        """Return the remaining text."""
        rest = "".join(self._cleaned(self._reader.finish()))
        gap, self._gap = self._gap, ""
        return rest if self._after_removed and "(" not in gap else rest + gap

    def _cleaned(self, marks: Iterable[Mark]) -> Iterator[str]:
        for mark in marks:
            if mark.kind == "text":
                cleaned = self._text(mark.text)
            elif mark.kind == "citation":
                cleaned = self._citation(mark)
            else:
                cleaned, self._gap, self._after_removed = self._gap + mark.text, "", False
            if cleaned:
                self._at_line_start = cleaned.endswith("\n")
                yield cleaned

    def _citation(self, mark: Mark) -> str:
        numbers, invalid = cited_passages(mark.spans, self._passages)
        self.removed += invalid
        self._after_removed = not numbers
        if not numbers:
            return ""
        gap, self._gap = self._gap, ""
        return gap + "".join(f"[{number}]" for number in numbers)

    def _text(self, text: str) -> str:
        """Hold back the space at the text's end, which is dropped if a removed citation follows."""
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
        """Emit or drop the gap before a removed citation, depending on the text after it."""
        self._after_removed = False
        bracketed = "(" in self._gap
        if bracketed and text[0] == ")":
            self._gap, text = "", text[1:]
        elif not bracketed and text[0] in _CLOSING:
            self._gap = ""
        return text


def cited_passages(spans: Iterable[tuple[int, int]], passages: int) -> tuple[list[int], int]:
    """The passages that a citation names, each once, and how many of its numbers are invalid.

    Of a range beyond the last passage, only its ends count as invalid: only they were written.
    """
    numbers: dict[int, None] = {}
    invalid = 0
    for first, last in spans:
        invalid += sum(not 1 <= end <= passages for end in {first, last})
        named = range(max(first, 1), min(last, passages) + 1) if first <= last else (first, last)
        numbers |= dict.fromkeys(number for number in named if 1 <= number <= passages)
    return list(numbers), invalid
