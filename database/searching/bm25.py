"""BM25 over the texts of one field, as a sparse matrix of term frequencies by term (postings).

The score of a text d for a question q is, in Lucene's form (Robertson and Zaragoza 2009,
doi:10.1561/1500000019; without the constant factor k1 + 1, as Lucene since version 8):

    score(d, q) = sum over the terms t of q:  idf(t) * tf(t, d) / (tf(t, d) + norm(d))
    norm(d)     = k1 * (1 - b + b * |d| / avgdl)
    idf(t)      = ln(1 + (N - df(t) + 0.5) / (df(t) + 0.5))

    tf(t, d)  occurrences of t in d          |d|, avgdl  terms in d, and their mean over all texts
    df(t)     texts that contain t           N           texts
    k1        saturation of tf, here _K1     b           length normalisation, here _B

Term frequencies are stored beside the weights, because N and avgdl change with every document. An
update creates a new `Field`; searches in progress continue to read the old one.
"""

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from database.searching.fusion import Scores

_K1, _B = 0.9, 0.75
"""Lucene's defaults are 1.2 and 0.75."""

TextIndexes = npt.NDArray[np.int32]
Starts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """The term numbers of several texts, concatenated, and the length of each text."""

    numbers: "array[int]" = field(default_factory=lambda: array("i"))
    lengths: "array[int]" = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, text: Iterable[int]) -> None:
        """Append a text."""
        before = len(self.numbers)
        self.numbers.extend(text)
        self.lengths.append(len(self.numbers) - before)


@dataclass(frozen=True)
class Splice:
    """An update of a sequence of texts: which are kept, and where new ones are inserted."""

    kept: npt.NDArray[np.bool_]
    """For each old text, True if it is kept."""
    before: Starts
    """For each new text, the number of kept texts before it; ascending."""

    @cached_property
    def moved(self) -> TextIndexes:
        """The new index of each old text; -1 if it was removed."""
        places = np.full(len(self.kept), -1, dtype=np.int32)
        staying = np.arange(np.count_nonzero(self.kept))
        places[self.kept] = staying + np.searchsorted(self.before, staying, side="right")
        return places

    @cached_property
    def arrived(self) -> TextIndexes:
        """The index of each new text."""
        return (self.before + np.arange(len(self.before))).astype(np.int32)


class Field:
    """The postings of one field in compressed sparse column form; terms and texts are numbers.

    Args:
        lengths: |d|: terms of each text, with repetitions.
        starts: Start of each term's postings in `texts` and `counts`, and the end of the last.
        texts: The texts that contain each term, ascending per term.
        counts: tf: the occurrences in each. (float32, as it is computed with; exact to 2**24.)
    """

    def __init__(
        self, lengths: TextIndexes, starts: Starts, texts: TextIndexes, counts: Scores
    ) -> None:
        self.size = len(lengths)
        self._lengths, self._starts, self._texts, self._counts = lengths, starts, texts, counts
        mean = float(lengths.mean()) if lengths.any() else 1.0
        norms: Scores = (_K1 * (1 - _B + _B * lengths / mean)).astype(np.float32)
        self._weights: Scores = counts / (counts + norms[texts])

    @classmethod
    def empty(cls) -> Self:
        """A field without texts."""
        none = np.zeros(0, dtype=np.int32)
        return cls(none, np.zeros(1, dtype=np.int64), none, none.astype(np.float32))

    @property
    def held(self) -> npt.NDArray[np.bool_]:
        """For each term, True if any text contains it."""
        return np.diff(self._starts) > 0

    def holders(self, number: int) -> int:
        """df: the number of texts that contain a term."""
        return int(self._starts[number + 1] - self._starts[number])

    def rarity(self, number: int) -> float:
        """The idf of a term."""
        return idf(self.holders(number), self.size)

    def column(self, number: int, weight: float = 1.0) -> tuple[TextIndexes, Scores]:
        """The texts that contain a term, and its contribution to each score times a weight."""
        part = slice(self._starts[number], self._starts[number + 1])
        return self._texts[part], weight * self.rarity(number) * self._weights[part]

    def changed(self, splice: Splice, come: Texts, terms: int) -> "Field":
        """The field after an update; this one is not modified.

        `terms` is the number of terms now, never fewer than before.
        """
        moved = splice.moved[self._texts]
        kept = moved >= 0
        columns = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))[kept]
        moved = moved[kept]
        new_columns, new_texts, new_counts = _counted(come, splice.arrived)
        at = np.searchsorted(_keys(columns, moved), _keys(new_columns, new_texts))
        holders = np.bincount(columns, minlength=terms) + np.bincount(new_columns, minlength=terms)
        return Field(
            lengths=np.insert(self._lengths[splice.kept], splice.before, come.lengths),
            starts=np.concatenate(([0], np.cumsum(holders))),
            texts=np.insert(moved, at, new_texts),
            counts=np.insert(self._counts[kept], at, new_counts),
        )


def idf(holders: int, texts: int) -> float:
    """The inverse document frequency of a term; `holders` of all `texts` contain it."""
    return math.log1p((texts - holders + 0.5) / (holders + 0.5))


def _counted(
    texts: Texts, places: TextIndexes
) -> tuple[npt.NDArray[np.int64], TextIndexes, Scores]:
    """The postings of texts: term numbers, text indexes and counts, sorted by term and text."""
    numbers = np.frombuffer(texts.numbers, dtype=np.int32)
    lengths = np.frombuffer(texts.lengths, dtype=np.int32)
    keys = _keys(numbers, np.repeat(places, lengths))
    keys.sort()  # in place: for a large index this is most of the memory
    first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    counts = np.diff(np.flatnonzero(first), append=len(keys))
    keys = keys[first]
    return keys >> 32, keys.astype(np.int32), counts.astype(np.float32)


def _keys(
    columns: npt.NDArray[np.signedinteger], texts: npt.NDArray[np.signedinteger]
) -> npt.NDArray[np.int64]:
    """One sortable number per posting: the term in the upper 32 bits, the text in the lower."""
    keys = columns.astype(np.int64)
    keys <<= 32
    keys |= texts
    return keys
