"""The protocol of a language model's replies: plain text, which any model can follow.

A reply is either one line that requests searches, or the answer, whose last line states how far the
passages answer the question:

    SEARCH: endpoint storage encryption key | CreateEndpointConfig KmsKeyId

    Set `KmsKeyId` in CreateEndpointConfig [2].
    COVERAGE: full

Models vary the form: `**SEARCH:** a | b`, `(COVERAGE: full)`, `Coverage: none - it is not stated`.
A request elsewhere in an answer is text, unless it is the last line: then it is removed.
"""

import re
import unicodedata
from typing import cast

from inference_worker.answer import Coverage

MAX_QUERIES = 2
MAX_QUERY_CHARACTERS = 300
_MAX_LINE = 1000
"""Characters; a longer line is text."""


def _beginnings(keyword: str) -> str:
    return "|".join(keyword[:length] for length in range(1, len(keyword)))


_BEFORE = r"[-#>*_`(\[\"' \t]{0,6}"
_GAP = r"[*_`]{0,3}[ \t\u00a0\u202f]{0,3}"
_COLON = rf"{_GAP}[:\uff1a]{_GAP}"
_MAYBE_LINE = re.compile(
    rf"{_BEFORE}(?:\Z|(?i:{_beginnings('coverage')}|coverage{_GAP})\Z|(?i:coverage){_GAP}[:\uff1a]"
    rf"|(?:{_beginnings('SEARCH')}|SEARCH{_GAP})\Z|SEARCH{_GAP}[:\uff1a])"
)
"""The beginning of a line that may be part of the protocol."""
_MAYBE_END = re.compile(
    rf"(?<![A-Za-z0-9_])[*_`(\[\"]{{0,3}}(?:(?:{_beginnings('COVERAGE')}|COVERAGE{_GAP})\Z"
    rf"|COVERAGE{_GAP}[:\uff1a])|(?<![A-Za-z0-9_])[*_`(\[\"]{{1,3}}\Z"
)
"""Within a line: what may be its coverage, in capitals."""
_COVERAGE = re.compile(
    rf"{_BEFORE}(?i:coverage){_COLON}[\"'<\[*_`]{{0,4}}(?i:(full|partial|none)(?:ly|y)?)(?![^\W_])"
    r"[\"'>\])*_`]{0,4}(?:[ \t]{0,2}[-\u2013\u2014,;:(./](?P<reason>.*))?\s*",
    re.DOTALL,
)
_REQUEST = re.compile(rf"{_BEFORE}SEARCH{_COLON}(?P<queries>(?:(?!\[\d).)*)", re.DOTALL)
"""Only an answer has a citation."""
_FENCE = re.compile(r"```\w{0,10}\s*")
_CUT = re.compile(rf"{_BEFORE}(?:SEAR|COVE)[A-Z]*(?:{_COLON}\w{{0,7}})?\s*")
"""The beginning of a protocol line that was cut off at the token limit."""
_ITEM = re.compile(r"\s*(?:[-*+]|\d[.)])\s")
"""The mark of a list item: some models list their queries below the keyword."""


class ReplyParser:
    """Separates the text of a reply, which arrives in pieces, from its protocol lines.

    Args:
        may_search: False if the model must answer: then a request in its reply is only removed.
    """

    def __init__(self, *, may_search: bool) -> None:
        self.coverage: Coverage | None = None
        """None if the model does not report it."""
        self.is_request = False
        """True if the reply requests searches instead of answering."""
        self.may_search = may_search
        self._request = ""
        self._line = ""
        """The end of the current line that may be part of the protocol, and is not emitted yet."""
        self._last = "\n"
        """The character before it."""
        self._pending: list[str] = []
        """The protocol lines before it, which are text if text follows."""
        self._has_text = False
        self._fences = 0
        """Code fences in the emitted text."""
        self._reason = ""
        """What follows the coverage in its line."""

    @property
    def queries(self) -> list[str]:
        """The requested queries, each once; data from the model, so only to be searched for."""
        lines = [line for line in self._request.split("\n") if line.strip("*_` \t\r")]
        items = [line for line in lines if _ITEM.match(line)]
        texts = items if lines[:1] == items[:1] else "".join(lines[:1]).split("|")
        cleaned = (_clean_query(text)[:MAX_QUERY_CHARACTERS] for text in texts)
        return list(dict.fromkeys(filter(None, cleaned)))[:MAX_QUERIES]

    def feed(self, piece: str) -> str:
        """Process the next piece; returns the text that is final."""
        *complete, last = piece.split("\n")
        return "".join([*(self._add(f"{part}\n") for part in complete), self._add(last)])

    def finish(self) -> str:
        """Return the remaining text."""
        final = self._close_line()
        pending, self._pending = self._pending, []
        others = self._without_protocol(pending)
        if all(not line.strip() or _FENCE.fullmatch(line) for line in others):
            # Fences around protocol lines; the first of them may close code of the answer.
            others = [line for line in others if line.strip()][: self._fences % 2]
        final += "".join(others)
        # A model may write its whole answer into the line of its coverage.
        return final if final or self._has_text or self.is_request else self._reason

    def _add(self, part: str) -> str:
        """Add a part of a line to the current one; returns the text that is final."""
        if self.is_request:
            self._request = (self._request + part)[:_MAX_LINE]
            return ""
        self._line += part
        start = self._protocol_start()
        text, self._line = self._line[:start], self._line[start:]
        final = self._emit(text)
        return final + self._close_line() if self._line.endswith("\n") else final

    def _protocol_start(self) -> int:
        """Where the part of the current line begins that may be part of the protocol."""
        if len(self._line) <= _MAX_LINE:
            if self._last == "\n" and (_MAYBE_LINE.match(self._line) or self._is_fence()):
                return 0
            if found := _MAYBE_END.search(self._last + self._line, 1):
                return found.start() - 1
        return len(self._line)

    def _is_fence(self) -> bool:
        """True if the line may be a code fence around a protocol line."""
        return bool(_FENCE.fullmatch(self._line))

    def _close_line(self) -> str:
        """End the current line; returns the text that is final."""
        is_fence, is_whole = self._is_fence(), self._last == "\n"
        line, self._line = self._line, ""
        request = _REQUEST.fullmatch(line) if is_whole else None
        if request and self.may_search and not self._has_text:
            self.is_request, self._request, self._pending = True, request["queries"], []
            return ""
        is_cut = not line.endswith("\n") and _CUT.fullmatch(line)
        if request or is_cut or _COVERAGE.fullmatch(line) or (is_whole and is_fence):
            self._pending.append(line)
            return ""
        return self._emit(line)

    def _emit(self, text: str) -> str:
        """Return the text, and before it what was pending: it is not the end of the reply."""
        if not text.strip() and (self._pending or not self._has_text):
            self._pending += [text] if self._pending else []
            return ""
        pending, self._pending = self._pending, []
        self._fences += sum(bool(_FENCE.fullmatch(line)) for line in pending)
        is_middle = self._has_text or (bool(pending) and bool(_FENCE.fullmatch(pending[0])))
        text = "".join([*self._without_protocol(pending, is_middle=is_middle), text])
        text = text if is_middle else text.lstrip()
        self._has_text = self._has_text or bool(text)
        self._last = text[-1:] or self._last
        return text

    def _without_protocol(self, lines: list[str], *, is_middle: bool = False) -> list[str]:
        """Read the coverage in the lines; returns the others.

        In the middle of an answer, only coverage in capitals is not text.
        """
        others = []
        for line in lines:
            found = _COVERAGE.fullmatch(line)
            if found and ("COVERAGE" in line or not is_middle):
                self.coverage = cast(Coverage, found[1].lower())
                self._reason = (found["reason"] or "").strip(" )]*_`\n")
            elif is_middle or not (found or _REQUEST.fullmatch(line) or _CUT.fullmatch(line)):
                others.append(line)
        return others


def _clean_query(text: str) -> str:
    """Remove emphasis and quotes around a query, and what no index contains."""
    printable = "".join(each for each in text if each.isprintable())
    return unicodedata.normalize("NFKC", printable).strip("*_` \"'[]<>()-+")
