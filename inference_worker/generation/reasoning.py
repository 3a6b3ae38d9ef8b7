"""Removes a model's reasoning, `<think>...</think>`, from its text."""

_OPENING, _CLOSING = "<think>", "</think>"


class ReasoningFilter:
    """Removes reasoning from text that arrives in pieces, however it is cut."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final."""
        text, final = self._held + piece, ""
        while True:
            tag = _CLOSING if self._inside else _OPENING
            before, found, after = text.partition(tag)
            if not found:
                self._held = _beginning_of(tag, at_end_of=text)
                return final if self._inside else final + text.removesuffix(self._held)
            final += "" if self._inside else before
            text, self._inside = after, not self._inside

    def finish(self) -> str:
        """Return the remaining text; reasoning that was cut off is none."""
        return "" if self._inside else self._held


def without_reasoning(text: str) -> str:
    """Remove the reasoning from a whole text."""
    reasoning = ReasoningFilter()
    return reasoning.feed(text) + reasoning.finish()


def _beginning_of(tag: str, *, at_end_of: str) -> str:
    """The longest end of a text with which the tag begins; "" if there is none."""
    lengths = range(min(len(tag) - 1, len(at_end_of)), 0, -1)
    return next((tag[:length] for length in lengths if at_end_of.endswith(tag[:length])), "")
