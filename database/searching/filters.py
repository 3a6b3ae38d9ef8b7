"""Filters: the documents that a search is limited to."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dataset.chunks import Chunk
from dataset.dates import parse_instant
from dataset.documents import normal_name

_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that a document must all meet; without any, every document matches.

    A date means midnight UTC, and a time without a zone is in UTC.
    """

    documents: tuple[str, ...] = ()
    """Names, one of which must match. `*` matches any characters, including `/`; `?` one."""
    url: str = ""
    """Prefix of its URL."""
    title: str = ""
    """Substring of its title; case is ignored."""
    formats: tuple[str, ...] = ()
    """Formats, one of which must match, as named by `dataset.conversion`."""
    changed_since: str = ""
    """Earliest time of the last change (ISO 8601); documents without one do not match."""
    changed_before: str = ""
    """End of the time of the last change, exclusive; documents without one do not match."""

    def mask(self, chunks: Sequence[Chunk]) -> npt.NDArray[np.bool_]:
        """For each chunk, True if its document matches; chunks are grouped by document."""
        test = _test_of(self)
        document, meant = None, False
        mask = np.zeros(len(chunks), dtype=np.bool_)
        for place, chunk in enumerate(chunks):
            if chunk.document != document:
                document, meant = chunk.document, test(chunk)
            mask[place] = meant
        return mask


EVERYTHING = Filters()


@lru_cache(maxsize=64)
def _test_of(filters: Filters) -> Callable[[Chunk], bool]:
    """All conditions as one function."""
    tests: list[Callable[[Chunk], bool]] = []
    if filters.documents:
        tests.append(_name_test(filters.documents))
    if filters.url:
        tests.append(lambda chunk: chunk.url.startswith(filters.url))
    if filters.title:
        title = filters.title.casefold()
        tests.append(lambda chunk: title in chunk.title.casefold())
    if filters.formats:
        tests.append(lambda chunk: chunk.format in filters.formats)
    if filters.changed_since or filters.changed_before:
        tests.append(_date_test(filters.changed_since, filters.changed_before))
    return lambda chunk: all(test(chunk) for test in tests)


def _name_test(patterns: Sequence[str]) -> Callable[[Chunk], bool]:
    patterns = [normal_name(pattern) for pattern in patterns]
    names = frozenset(pattern for pattern in patterns if not _WILD.search(pattern))
    # Names may hold brackets. Python's translation never goes back behind a `*` once passed, so
    # that no pattern takes longer than its length times the name's.
    wild = [
        re.compile(translate(pattern.replace("[", "[[]"))).match
        for pattern in patterns
        if _WILD.search(pattern)
    ]
    return lambda chunk: chunk.document in names or any(match(chunk.document) for match in wild)


def _date_test(since: str, before: str) -> Callable[[Chunk], bool]:
    earliest = parse_instant(since) if since else None
    end = parse_instant(before) if before else None

    def test(chunk: Chunk) -> bool:
        try:
            changed = parse_instant(chunk.changed)
        except ValueError:  # unknown, or not ISO 8601
            return False
        return (not earliest or earliest <= changed) and (not end or changed < end)

    return test
