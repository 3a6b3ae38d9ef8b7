"""The lexical side of search: BM25 over chunks, titles and whole documents, held in memory.

It is made from what the index holds when a reader opens it, and again when another goes live; a
question only adds up columns of it. The scores are bm25s's (Lucene's form of BM25).
"""

import logging
import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from database.ranking import Scores
from database.terms import terms_of, words
from dataset.chunks import Chunk

TITLE_REPEATS, HEADING_REPEATS, TITLE_REPEATS_IN_DOCUMENT = 3, 2, 5
"""How often title and headings count beside a text's own words: they say what it is about."""
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)")
_LABEL = re.compile(r"^[ \t]*(?:[-+*] )?\*\*([^*\n]{1,80})\*\*", re.MULTILINE)
"""What a list defines, `- **Name** ...`: an API's page has fields where others have headings."""
_K1, _B = 0.9, 0.75
_RARE = 9.0
"""Rarity of a word that stands nowhere, in place of an infinite one."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question as the lexical side reads it."""

    terms: Mapping[str, Mapping[str, float]]
    """Each of its terms, with the terms that mean nearly the same and how nearly, 0 to 1."""
    names: tuple[str, ...] = ()
    """The words of it that name something: with a capital inside the question, or a digit."""


class Vocabulary(dict[str, tuple[int, ...]]):
    """Words with the numbers of their terms; a word is taken apart once however often it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[str, int] = {}
        """A number for each term."""

    def __missing__(self, word: str) -> tuple[int, ...]:
        """Take a new word apart."""
        numbers = self.numbers
        self[word] = tuple(numbers.setdefault(term, len(numbers)) for term in terms_of(word))
        return self[word]

    def read(self, text: str) -> list[int]:
        """The numbers of a text's terms, in order."""
        return list(chain.from_iterable(map(self.__getitem__, words(text))))


class Field:
    """BM25 over one kind of text: what each term adds to each of them, as sparse columns."""

    def __init__(self, texts: Sequence[Sequence[int]], numbers: dict[str, int]) -> None:
        self.size = len(texts)
        self._data: Scores = np.zeros(0, dtype=np.float32)
        self._indices: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._starts: npt.NDArray[np.int64] = np.zeros(len(numbers) + 1, dtype=np.int64)
        if any(texts):  # bm25s divides by their mean length
            self._index(texts, numbers)

    def _index(self, texts: Sequence[Sequence[int]], numbers: dict[str, int]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it speaks at every index
        model: Any = bm25s.BM25(k1=_K1, b=_B, method="lucene", csc_backend="numpy")
        model.index((texts, numbers), show_progress=False, create_empty_token=False)
        self._data = model.scores["data"]
        self._indices = model.scores["indices"]
        self._starts = model.scores["indptr"]

    def holders(self, number: int) -> int:
        """In how many texts a term stands."""
        return int(self._starts[number + 1] - self._starts[number])

    def column(self, number: int) -> tuple[npt.NDArray[np.int32], Scores]:
        """The texts that a term stands in, and what it adds to each."""
        part = slice(self._starts[number], self._starts[number + 1])
        return self._indices[part], self._data[part]


class LexicalIndex:
    """BM25 over the chunks of one index, their documents' titles, and the documents whole."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        """Read the chunks, which come in the order of their documents."""
        vocabulary = Vocabulary()
        first = {chunk.document: chunk for chunk in reversed(chunks)}
        self.documents: tuple[str, ...] = tuple(dict.fromkeys(chunk.document for chunk in chunks))
        place = {name: number for number, name in enumerate(self.documents)}
        self._document_of = np.array([place[chunk.document] for chunk in chunks], dtype=np.int32)
        titles = [vocabulary.read(first[name].title) for name in self.documents]
        whole = [array("i", TITLE_REPEATS_IN_DOCUMENT * title) for title in titles]
        headed: list[set[int]] = [set(title) for title in titles]
        texts = []
        for chunk, at in zip(chunks, self._document_of, strict=True):
            headings = vocabulary.read(" ".join(chunk.headings))
            body = vocabulary.read(_LINK_TARGET.sub("]", chunk.text))
            texts.append(array("i", TITLE_REPEATS * titles[at] + HEADING_REPEATS * headings + body))
            whole[at].extend(headings + body)
            headed[at].update(headings)
            headed[at].update(vocabulary.read(" ".join(_LABEL.findall(chunk.text))))
        self._numbers = vocabulary.numbers
        self._chunks = Field(texts, self._numbers)
        self._titles = Field(titles, self._numbers)
        self._whole = Field(whole, self._numbers)
        self._headed = np.bincount(
            np.fromiter(chain.from_iterable(headed), dtype=np.int64),
            minlength=len(self._numbers),
        )

    def __len__(self) -> int:
        return self._chunks.size

    def holders(self, term: str) -> int:
        """In how many chunks a term stands."""
        number = self._numbers.get(term)
        return 0 if number is None else self._chunks.holders(number)

    def headed(self, term: str) -> int:
        """How many documents have a term in their title, headings, or what their lists define."""
        number = self._numbers.get(term)
        return 0 if number is None else int(self._headed[number])

    def rarity(self, term: str) -> float:
        """A term's inverse document frequency, as BM25 weighs it."""
        holders = self.holders(term)
        if not holders:
            return max(_RARE, math.log1p(len(self)))
        return math.log1p((len(self) - holders + 0.5) / (holders + 0.5))

    def scores(self, query: Query, *, titles: float, documents: float) -> Scores:
        """Score every chunk.

        Args:
            query: What is asked.
            titles: What a match with the document's title adds.
            documents: What a match with the whole document adds.

        Returns:
            A score for each chunk, 0 where no term of the question stands in it or its document.
        """
        total = np.zeros(len(self), dtype=np.float32)
        for term, related in query.terms.items():
            self._add(total, term, related)
        about = np.zeros(len(self.documents), dtype=np.float32)
        known = [self._numbers[term] for term in query.terms if term in self._numbers]
        for texts, weight in ((self._titles, titles), (self._whole, documents)):
            for number in known if weight else ():
                holders, scores = texts.column(number)
                about[holders] += weight * scores
        total += about[self._document_of]
        return total

    def _add(self, total: Scores, term: str, related: Mapping[str, float]) -> None:
        """Add to each chunk what the best of a term and its kin brings there."""
        columns = []
        if term in self._numbers:
            columns.append(self._chunks.column(self._numbers[term]))
        rarity = self.rarity(term)
        for other, nearness in related.items():
            if other in self._numbers:
                holders, scores = self._chunks.column(self._numbers[other])
                # No more than the term itself is worth: a rare kin must not outweigh it.
                columns.append((holders, scores * nearness * min(1, rarity / self.rarity(other))))
        if len(columns) == 1:
            holders, scores = columns[0]
            total[holders] += scores
        elif columns:
            best = np.zeros_like(total)
            for holders, scores in columns:
                best[holders] = np.maximum(best[holders], scores)
            total += best
