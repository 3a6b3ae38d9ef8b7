"""Detects that a reply repeats the instructions instead of answering.

The sentences of the instructions themselves are the canary. A random marker in the prompt would
only be repeated by a model that is asked for the whole of it, would be easy to leave out, and would
change every prompt, so that providers could not cache its beginning, nor replies be replayed.
"""

import re
from collections import deque

from utils.errors import GenerationError

MAX_REPEATED_WORDS = 11
"""In a row: an answer to a question on the same subject may repeat fewer by chance."""
_WORD = re.compile(r"\w+")
_MAX_WORD = 50
_OPEN_WORD = re.compile(rf"\w{{0,{_MAX_WORD}}}\Z")


class LeakDetector:
    """Reads a reply in pieces; markup, case and line breaks make no difference."""

    def __init__(self, instructions: str) -> None:
        words = _words(instructions)
        length = MAX_REPEATED_WORDS + 1
        self._runs = {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
        self._last: deque[str] = deque(maxlen=length)
        self._open = ""
        """The word that the next piece may continue."""

    def checked(self, piece: str) -> str:
        """Return the piece.

        Raises:
            GenerationError: with it, the reply repeats more of the instructions than by chance.
        """
        text = self._open + piece
        found = _OPEN_WORD.search(text, max(0, len(text) - _MAX_WORD))
        self._open = found[0] if found else ""
        for word in _words(text[: len(text) - len(self._open)]):
            self._last.append(word)
            if tuple(self._last) in self._runs:
                raise GenerationError("the language model repeated its instructions")
        return piece


def _words(text: str) -> list[str]:
    return _WORD.findall(text.replace("_", " ").casefold())
