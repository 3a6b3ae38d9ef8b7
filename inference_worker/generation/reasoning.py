"""Removes the reasoning that some models write before their answer: `<think>...</think>`."""

import re

_OPENING = re.compile(r"\s*<think(?:ing)?>", re.IGNORECASE)
_CLOSING = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_MAX_CLOSING = len("</thinking>")


class ReasoningFilter:
    """Removes reasoning from the beginning of text that arrives in pieces, however it is cut.

    Later tags are text: an answer may be about them.
    """

    def __init__(self) -> None:
        self._pending = ""
        self._is_inside = False
        self._is_answer = False

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final."""
        if self._is_answer:
            return piece
        self._pending += piece
        if not self._is_inside and (opening := _OPENING.match(self._pending)):
            self._is_inside = True
            self._pending = self._pending[opening.end() :]
        if self._is_inside:
            closing = _CLOSING.search(self._pending)
            if closing is None:
                self._pending = self._pending[-_MAX_CLOSING:]  # it may end in a part of the tag
                return ""
            self._pending = self._pending[closing.end() :]
        elif any(
            tag.startswith(self._pending.lstrip().lower()) for tag in ("<think>", "<thinking>")
        ):
            return ""
        self._is_answer = True
        return self._take()

    def finish(self) -> str:
        """Return the remaining text; unfinished reasoning is no text."""
        rest = self._take()
        return "" if self._is_inside and not self._is_answer else rest

    def _take(self) -> str:
        pending, self._pending = self._pending, ""
        return pending


def without_reasoning(text: str) -> str:
    """Remove the reasoning from the beginning of a whole text."""
    reasoning = ReasoningFilter()
    return reasoning.feed(text) + reasoning.finish()
