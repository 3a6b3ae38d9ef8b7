"""The protocol of a language model's replies: plain text, which any model can follow.

A reply is either one line that requests searches, or the answer, which ends with a line that states
how far the passages answer the question:

    SEARCH: endpoint storage encryption key | CreateEndpointConfig KmsKeyId

    Set `KmsKeyId` in CreateEndpointConfig [2].
    COVERAGE: full
"""

import re
from typing import cast

from inference_worker.answer import Coverage

MAX_QUERIES = 2
MAX_QUERY_CHARACTERS = 300
_MAX_REQUEST_CHARACTERS = 1000
"""How much of a request is read."""

_MAX_REASON = 200
"""Characters of a model's explanation in the line of its coverage."""

# Models emphasise keywords, as in `**SEARCH:** a | b` or `(COVERAGE: full)`.
_SEARCH = r"[*_`]{0,3}SEARCH[*_`]{0,3}[ \t]{0,2}:"
_REQUEST = re.compile(_SEARCH)
_MAYBE_REQUEST = re.compile(r"[*_`]{0,3}(?:|S|SE|SEA|SEAR|SEARC|SEARCH[*_`]{0,3}[ \t]{0,2})\Z")
"""A text that may become a request."""
_COLON = r"[*_`]{0,3}[ \t]{0,2}:[*_`]{0,3}[ \t]{0,2}[*_`]{0,3}"
_COVERAGE = rf"{_COLON}(?i:(full|partial|none))(?!\w)"
_PROTOCOL = re.compile(
    # A request after the beginning of an answer is not followed, and not shown.
    rf"(?m:^){_SEARCH}[^\n]{{0,{_MAX_REQUEST_CHARACTERS}}}(?:\n|\Z)"
    # Coverage: on a line of its own in any case, at the end of another in capitals.
    rf"|(?m:^)[*_`(\[]{{0,3}}(?i:coverage){_COVERAGE}[^\n]{{0,{_MAX_REASON}}}"
    rf"|(?<!\S)[*_`(\[]{{0,3}}COVERAGE{_COVERAGE}[*_`.)\]]{{0,4}}"
)
_MAYBE_PROTOCOL = re.compile(
    r"(?:(?m:^)[*_`]{0,3}(?:S|SE|SEA|SEAR|SEARC|SEARCH[*_`]{0,3}[ \t]{0,2}"
    rf"(?::[^\n]{{0,{_MAX_REQUEST_CHARACTERS}}}\n?)?)"
    r"|(?<!\S)[*_`(\[]{0,3}(?i:c|co|cov|cove|cover|covera|coverag"
    r"|coverage(?:[*_`]{0,3}[ \t]{0,2}"
    rf"|{_COLON}[a-z]{{0,7}}(?:[^\w\n][^\n]{{0,{_MAX_REASON}}})?))"
    r"|(?<!\S)[*_`(\[]{1,3})\Z"
)
"""The end of a text that may become one of these lines."""


class ReplyParser:
    """Separates the text of a reply, which arrives in pieces, from its protocol lines."""

    def __init__(self) -> None:
        self.coverage: Coverage | None = None
        """None if the model does not report it."""
        self.is_request = False
        """True if the reply requests searches instead of answering."""
        self._is_answer = False
        self._held = ""
        """Not yet emitted, as it may become a protocol line; of a request, its text."""
        self._last = "\n"
        """The character before it."""

    @property
    def queries(self) -> list[str]:
        """The requested queries, each once; data from the model, so only to be searched for."""
        if not self.is_request:
            return []
        line = self._held.partition(":")[2].strip("*_` \t\r\n").partition("\n")[0]
        queries = (query.strip("*_` \t\r\"'")[:MAX_QUERY_CHARACTERS] for query in line.split("|"))
        return list(dict.fromkeys(filter(None, queries)))[:MAX_QUERIES]

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final, without white space before it."""
        self._held += piece
        if self.is_request:
            self._held = self._held[:_MAX_REQUEST_CHARACTERS]
            return ""
        if not self._is_answer:
            self._held = self._held.lstrip()
            self.is_request = bool(_REQUEST.match(self._held))
            self._is_answer = not self.is_request and not _MAYBE_REQUEST.match(self._held)
        return self._released() if self._is_answer else ""

    def finish(self) -> str:
        """Return the remaining text."""
        return "" if self.is_request else self._released(is_end=True)

    def _released(self, *, is_end: bool = False) -> str:
        """Remove the text that cannot become a protocol line from the held text, and return it."""
        text, start, final = self._last + self._held, 1, ""
        while (line := _PROTOCOL.search(text, start)) and (is_end or line.end() < len(text)):
            final += text[start : line.start()]
            start = line.end()
            if value := line[1] or line[2]:
                self.coverage = cast(Coverage, value.lower())
        maybe = None if is_end else _MAYBE_PROTOCOL.search(text, start)
        end = maybe.start() if maybe else len(text)
        self._held, self._last = text[end:], text[end - 1]
        return final + text[start:end]
