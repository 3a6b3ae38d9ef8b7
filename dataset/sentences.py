"""Splits text into sentences: the only place that defines where a sentence ends.

A sentence ends with a full stop, question mark or exclamation mark followed by white space; one of
Chinese or Japanese with its own marks, which nothing needs to follow.
`sentences()` refines that for text that users read. The other functions are cheaper variants whose
results are fixed by stored data:

| function             | used for                | it also ends at   | the next one starts with |
| -------------------- | ----------------------- | ----------------- | ------------------------ |
| `sentences`          | quotes, citation checks |                   | capital, digit, opening  |
| `chunking_sentences` | chunk boundaries        | `:`               | capital, digit, opening  |
| `prose_sentences`    | adapter training        | newline           | capital                  |
"""

import re
from collections.abc import Iterator

_STOP = r"(?<=[.!?])"
_STOP_OR_COLON = r"(?<=[.!?:])"
_WIDE_STOP = r"(?:[\u3002\uff01\uff1f\uff61\ufe12\u203c\u2047-\u2049]|(?<!\d)\uff0e)"
"""A full stop of full width also stands in numbers and names, as a point."""
_WIDE_CLOSING = r"[\u300d\u300f\u300b\u3009\u3015\u3017\u3011\uff09\uff3d\uff5d\uff63\u201d\u2019)]"
_WIDE_END = (
    "(?:"
    + "|".join(rf"(?<={_WIDE_STOP}{_WIDE_CLOSING * count})" for count in range(4))
    + rf")(?!{_WIDE_STOP}|{_WIDE_CLOSING}|(?<=\uff0e)[0-9A-Za-z\uff10-\uff5a])"
)

_SENTENCE_END = re.compile(
    rf"{_STOP}([\"')\]*”]*)\s+(?=[\"'(\[*`“]*[A-Z0-9`])|{_WIDE_END}()\s*(?=\S)"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|Inc|Corp|No|Fig|approx|U\.S|Dr|Mr|Ms|St)\.|\b[A-Z]\.)$"
)
_MAX_ABBREVIATION_CHARACTERS = 8
_CHUNKING_END = re.compile(rf"{_STOP_OR_COLON}\s+(?=[A-Z0-9\"'(\[`*])|{_WIDE_END}[^\S\n]*(?=\S)")
_PROSE_END = re.compile(rf"{_STOP}\s+(?=[A-Z])|\n")


def sentences(text: str) -> list[str]:
    """Split a paragraph into sentences, closing quotes and brackets included.

    The white space between two sentences belongs to neither. A full stop inside inline code or at
    the end of an abbreviation ends no sentence.
    """
    found: list[str] = []
    start = counted = ticks = 0
    for boundary in _SENTENCE_END.finditer(text):
        stop, end = boundary.span(boundary.lastindex or 1)
        ticks += text.count("`", counted, end)
        counted = end
        abbreviation_start = max(start, stop - _MAX_ABBREVIATION_CHARACTERS)
        if ticks % 2 or _ABBREVIATION.search(text, abbreviation_start, stop):
            continue
        found.append(text[start:end])
        start, ticks = boundary.end(), 0
    return [*found, text[start:]] if text[start:] else found


def chunking_sentences(line: str) -> list[str]:
    """Split a line that is too long for a chunk.

    Chunk texts depend on it: a change requires a new `dataset.splitting.CHUNKER_VERSION`.
    """
    return _CHUNKING_END.split(line)


def prose_sentences(text: str) -> list[str]:
    """Split prose into sentences; line breaks end one."""
    return _PROSE_END.split(text)


def prose_sentence_starts(text: str) -> Iterator[int]:
    """Yield the offset at which each of the `prose_sentences` but the first starts."""
    return (end.end() for end in _PROSE_END.finditer(text))
