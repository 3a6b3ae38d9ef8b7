"""Reads a streamed answer's markdown: plain text, code, and citations in any form.

The meaning of a bracket or backtick depends on the text after it, so the reader buffers what is
undecided: a bracket until it closes (at most 40 characters or the line's end), inline code until
it closes (500 characters or the line's end), a fence's first line. The decisions do not depend on
how the text is cut into pieces.

What is code here is code to every reader of CommonMark as well, as only code is delivered as it is
written: a backtick after a backslash opens none, nor does one that its line does not close; only
space and a list mark stand before a fence.

A bracket is a citation if it contains passage numbers and nothing else. It is not a citation
- in code (inline, or fenced, even without a closing fence);
- as a link (`[1](address)`), a definition (`[1]: ...` at the start of a line) or the second half of
  a reference (`[the guide][1]`);
- as data: `[0, 1]`, since no passage has the number 0; two ascending numbers after words for a
  range (`the range [1, 100]`, `between [1, 5]`, `a value in [1, 8]`; but `described in [1, 2]`
  is one); several after words for an array (`shape [1, 3]`, `a list of [1, 2]`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from dataset.markdown.syntax import LIST_MARK

MarkKind = Literal["text", "code", "fence", "citation"]

_MAX_BRACKET_CHARACTERS = 40
_MAX_CODE_CHARACTERS = 500
_MAX_FENCE_LINE_CHARACTERS = 100
_MAX_FENCE_CHARACTERS = 63
"""Of a longer run of backticks or tildes, none is a mark."""
_CONTEXT = 100
"""Before a mark: its meaning may depend on them."""

INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
"""Invisible characters: zero-width ones, soft hyphens and direction marks."""

_OPEN, _SHUT = r"\[【\uff3b", r"\]】\uff3d"
_MARK = re.compile(rf"\\[\\`]|`{{1,64}}|~{{3,64}}|\\?[{_OPEN}]")
_TICKS = re.compile(r"`+|\n")
_INSIDE = rf"[^{_OPEN}{_SHUT}\n\\]{{0,{_MAX_BRACKET_CHARACTERS}}}"
_SINGLE = re.compile(rf"\\?[{_OPEN}]({_INSIDE})\\?[{_SHUT}]")
_DOUBLE = re.compile(rf"[{_OPEN}]{{2}}([^\n]{{0,{_MAX_BRACKET_CHARACTERS}}}?)[{_SHUT}]{{2}}")
_STILL_OPEN = re.compile(rf"\\?[{_OPEN}]{_INSIDE}\\?")
_BEFORE_FENCE = re.compile(rf".*\n[ \t]*(?:{LIST_MARK}[ \t]+)?", re.DOTALL)
_BRACKETS = re.compile(rf"[{_OPEN}{_SHUT}]")

_DASH = r" ?[-\u2010-\u2015\u2212] ?"
_NOUN = (
    r"(?:see |cf\.? )?(?:(?:passages?|sources?|documents?|docs?|references?|refs?|citations?|cite"
    r"|excerpts?|context|chunks?) ?[:#]? ?)?[#^]?"
)
_NUMBER = rf"\d+(?:{_DASH}\d+)?"
_CITED = re.compile(
    rf"{_NOUN}{_NUMBER}(?:(?:(?: ?[,;&+])+ ?| )(?:(?:and|or) )?{_NOUN}{_NUMBER})*"
    r"|\d+(?::\d+)?†.*",
    re.IGNORECASE,
)
_SPAN = re.compile(rf"(\d+)(?:{_DASH}(\d+))?")

_ARRAY = re.compile(
    r"\b(?:(?:matrix|shape|tensor|tuple|vector)s?|(?:arrays?|ax[ei]s|box|coordinates|dimensions?"
    r"|lists?) (?:of|is|are|as|like))\s*[:=]?\s*$",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"\b(?:(?:between|intervals?|ranges?|ranging|within)(?: (?:of|is|are|as|be|in|from|to|the))*"
    r"|(?:bounds?|limits?|values?) (?:of|is|are|as|from|to)"
    r"|(?:(?:are|be|falls?|floats?|integers?|is|lies?|numbers?|percentages?|probabilit(?:y|ies)"
    r"|rates?|ratios?|scores?|values?|weights?|[a-z])|`) in)\s*[:=]?\s*$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\[[^\[\]\n]*[^\W\d_][^\[\]\n]*\]$")
_INSIDE_LIST = re.compile(rf"[{_OPEN}][\s\d,;:#^-]*$")


@dataclass(frozen=True, slots=True)
class Mark:
    """A piece of an answer with its kind."""

    kind: MarkKind
    text: str
    spans: tuple[tuple[int, int], ...] = ()
    """Of a citation: the cited ranges of numbers, each as first and last."""
    edge: Literal["", "open", "close"] = ""
    """Of fenced code: its opening fence, or the line that closes it."""


def read_marks(text: str) -> Iterator[Mark]:
    """Read a whole answer, with consecutive lines of fenced code in one mark."""
    reader = MarkupReader()
    marks = [*reader.feed(text), *reader.finish()]
    for is_fence, group in groupby(marks, lambda mark: mark.kind == "fence"):
        if is_fence:
            yield Mark("fence", "".join(mark.text for mark in group))
        else:
            yield from group


class MarkupReader:
    """Reads an answer in pieces; the concatenated text of the marks is the answer."""

    def __init__(self) -> None:
        self._buffer = ""
        self._at = 0
        self._before = "\n"
        self._after_citation = False
        self._fence = ""

    def feed(self, piece: str) -> list[Mark]:
        """Process the next piece; returns the marks that are decided."""
        self._buffer += piece
        marks = list(self._decided(final=False))
        self._buffer, self._at = self._buffer[self._at :], 0
        return marks

    def finish(self) -> list[Mark]:
        """Return the remaining marks."""
        return list(self._decided(final=True))

    def _decided(self, *, final: bool) -> Iterator[Mark]:
        while self._at < len(self._buffer):
            mark = self._code_line(final) if self._fence else self._next(final)
            if mark is None:
                return
            self._at += len(mark.text)
            self._before = (self._before + mark.text[-_CONTEXT:])[-_CONTEXT:]
            self._after_citation = mark.kind == "citation"
            yield mark

    def _next(self, final: bool) -> Mark | None:
        """The next mark outside fenced code; None while undecided."""
        found = _MARK.search(self._buffer, self._at)
        end = found.start() if found else len(self._buffer) - (0 if final else self._may_open())
        if end > self._at:
            return Mark("text", self._buffer[self._at : end])
        if not found:
            return None
        if found[0] in ("\\\\", "\\`"):
            return Mark("text", found[0])
        if found[0][-1] not in "`~":
            return self._bracket(found[0], final)
        if len(found[0]) > _MAX_FENCE_CHARACTERS or self._before.endswith(found[0][0]):
            return Mark("text", found[0])
        if found.end() == len(self._buffer) and not final:
            return None
        if len(found[0]) >= 3 and _BEFORE_FENCE.fullmatch(self._before):
            return self._fence_or_code(found[0], final)
        return self._inline_code(found[0], final)

    def _may_open(self) -> int:
        """Number of characters at the end that may start a mark."""
        end = self._buffer[-2:]
        return int(end.endswith("\\")) or len(end) - len(end.rstrip("~"))

    def _line(self) -> str:
        """The current line up to the mark."""
        return self._before.rpartition("\n")[2]

    def _fence_or_code(self, ticks: str, final: bool) -> Mark | None:
        start = self._at + len(ticks)
        line, end, _ = self._buffer[start : start + _MAX_FENCE_LINE_CHARACTERS].partition("\n")
        is_long = not end and len(line) == _MAX_FENCE_LINE_CHARACTERS
        if ticks[0] == "`" and ("`" in line or is_long):
            return self._inline_code(ticks, final)
        if not (end or final or is_long):
            return None
        self._fence = ticks
        return Mark("fence", ticks, edge="open")

    def _inline_code(self, ticks: str, final: bool) -> Mark | None:
        """Code up to the same number of backticks on the line; else the backticks as text."""
        buffer, start = self._buffer, self._at + len(ticks)
        limit = start + _MAX_CODE_CHARACTERS
        if ticks[0] != "`":
            return Mark("text", ticks)
        for found in _TICKS.finditer(buffer, start, min(limit, len(buffer))):
            if found[0] == "\n":
                return Mark("text", ticks)
            if found.end() == len(buffer) and not final:
                return None
            if found.end() < limit and len(found[0]) == len(ticks):
                return Mark("code", buffer[self._at : found.end()])
        return Mark("text", ticks) if final or len(buffer) >= limit else None

    def _code_line(self, final: bool) -> Mark | None:
        """The rest of a line of fenced code; a line of only fence characters closes it."""
        end = self._buffer.find("\n", self._at)
        line = self._buffer[self._at : end + 1 or None]
        fence = line.strip(" \t\r\n")
        may_close = (
            self._before.endswith("\n")
            and len(line) - len(line.lstrip(" \t")) <= _MAX_FENCE_LINE_CHARACTERS
            and not fence.strip(self._fence[0])
        )
        if end < 0 and may_close and not final:
            return None
        if may_close and len(fence) >= len(self._fence):
            self._fence = ""
            return Mark("fence", line, edge="close")
        return Mark("fence", line)

    def _bracket(self, opening: str, final: bool) -> Mark | None:
        buffer, start = self._buffer, self._at
        doubled = len(opening) == 1 and buffer[start + 1 : start + 2] in tuple("[【\uff3b")
        found = (_DOUBLE if doubled else _SINGLE).match(buffer, start)
        if not found:
            return None if not final and self._still_open(doubled) else Mark("text", opening)
        spans = _spans(found[1])
        if not spans:
            return Mark("text", opening)
        following = buffer[found.end() : found.end() + 1]
        if not following and not final:
            return None
        kind: MarkKind = "citation" if self._cites(spans, found[1], following) else "text"
        return Mark(kind, found[0], spans)

    def _still_open(self, doubled: bool) -> bool:
        if doubled:
            rest = self._buffer[self._at : self._at + _MAX_BRACKET_CHARACTERS + 4]
            return "\n" not in rest and len(rest) < _MAX_BRACKET_CHARACTERS + 4
        return bool(_STILL_OPEN.fullmatch(self._buffer, self._at))

    def _cites(self, spans: tuple[tuple[int, int], ...], body: str, following: str) -> bool:
        link = following == "("
        definition = following == ":" and not self._line().strip()
        reference = not self._after_citation and _REFERENCE.search(self._before)
        inside = _INSIDE_LIST.search(self._before)
        return not (link or definition or reference or inside) and not self._is_data(spans, body)

    def _is_data(self, spans: tuple[tuple[int, int], ...], body: str) -> bool:
        """True if the numbers are an interval or an array, not passages."""
        numbers = [number for first, last in spans for number in {first: 0, last: 0}]
        if len(numbers) < 2 or any(letter.isalpha() for letter in body):
            return False
        line = self._line()
        interval = len(numbers) == 2 and numbers[0] < numbers[1]
        return (
            numbers[0] == 0
            or _ARRAY.search(line) is not None
            or (interval and _RANGE.search(line) is not None)
        )


def _spans(body: str) -> tuple[tuple[int, int], ...]:
    """The ranges of numbers in a bracket; () if it contains anything else."""
    # With single spaces no repetition in the pattern overlaps another.
    body = " ".join(_BRACKETS.sub(",", INVISIBLE.sub("", body)).split())
    if not _CITED.fullmatch(body):
        return ()
    head = body.partition("†")[0]
    found = _SPAN.findall(head.partition(":")[0] if "†" in body else head)
    return tuple((int(first), int(last or first)) for first, last in found)
