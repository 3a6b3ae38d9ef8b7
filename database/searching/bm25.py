"""BM25 over one kind of text: in which texts each term stands and how often, as sparse columns.

The counts are kept, not only what they are worth: that hangs on the texts' number and mean length,
which move with every change. A change makes new columns of the old ones, which stay as they are
for the searches that read them. (Lucene's form of BM25.)
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

TextIndexes = npt.NDArray[np.int32]
Starts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """The terms of several texts, by their numbers, one text after another."""

    numbers: "array[int]" = field(default_factory=lambda: array("i"))
    lengths: "array[int]" = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, text: Iterable[int]) -> None:
        """Put a text behind the others."""
        before = len(self.numbers)
        self.numbers.extend(text)
        self.lengths.append(len(self.numbers) - before)


@dataclass(frozen=True)
class Splice:
    """Texts taken out of a sequence and others put into it, all by their places."""

    kept: npt.NDArray[np.bool_]
    """Of each text before the change, whether it stays."""
    before: Starts
    """For each text that comes, how many of those that stay stand before it; never falling."""

    @cached_property
    def moved(self) -> TextIndexes:
        """Where each text is after the change; -1 for one that is gone."""
        places = np.full(len(self.kept), -1, dtype=np.int32)
        staying = np.arange(np.count_nonzero(self.kept))
        places[self.kept] = staying + np.searchsorted(self.before, staying, side="right")
        return places

    @cached_property
    def arrived(self) -> TextIndexes:
        """Where each text that came is."""
        return (self.before + np.arange(len(self.before))).astype(np.int32)


class Field:
    """The texts that each term stands in; terms and texts are numbers, from 0.

    Args:
        lengths: How many terms each text has, each as often as it stands there.
        starts: Where each term's column begins, and the end of the last.
        texts: The columns: the texts that hold a term, in order.
        counts: How often it stands in each. (In the type it is reckoned in; exact to 2**24.)
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
        """Of each term, whether it stands anywhere."""
        return np.diff(self._starts) > 0

    def holders(self, number: int) -> int:
        """In how many texts a term stands."""
        return int(self._starts[number + 1] - self._starts[number])

    def rarity(self, number: int) -> float:
        """A term's inverse document frequency."""
        holders = self.holders(number)
        return math.log1p((self.size - holders + 0.5) / (holders + 0.5))

    def column(self, number: int, weight: float = 1.0) -> tuple[TextIndexes, Scores]:
        """The texts that a term stands in, and what it adds to each, times a weight."""
        part = slice(self._starts[number], self._starts[number + 1])
        return self._texts[part], weight * self.rarity(number) * self._weights[part]

    def changed(self, splice: Splice, come: Texts, terms: int) -> "Field":
        """The field after a change; this one stays as it is.

        Args:
            splice: Which of its texts stay, and where others come.
            come: Those others.
            terms: How many terms there are now, no fewer than before.
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


def _counted(
    texts: Texts, places: TextIndexes
) -> tuple[npt.NDArray[np.int64], TextIndexes, Scores]:
    """Each term of each text once, with the text's place and how often it stands there."""
    numbers = np.frombuffer(texts.numbers, dtype=np.int32)
    lengths = np.frombuffer(texts.lengths, dtype=np.int32)
    keys = _keys(numbers, np.repeat(places, lengths))
    keys.sort()  # in place, as of a large index they take most memory
    first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    counts = np.diff(np.flatnonzero(first), append=len(keys))
    keys = keys[first]
    return keys >> 32, keys.astype(np.int32), counts.astype(np.float32)


def _keys(
    columns: npt.NDArray[np.signedinteger], texts: npt.NDArray[np.signedinteger]
) -> npt.NDArray[np.int64]:
    """One number for a term in a text, in the order of the columns."""
    keys = columns.astype(np.int64)
    keys <<= 32
    keys |= texts
    return keys
