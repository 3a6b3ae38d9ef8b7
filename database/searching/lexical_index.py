"""Lexical search: BM25 over chunks and whole documents, in memory.

Built from the chunks when a reader opens the index, and derived from the previous one when
documents change. The formula is in `bm25`; a query adds up postings.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain, compress, groupby

import numpy as np

from database.searching.bm25 import Field, Splice, TextIndexes, Texts, idf
from database.searching.fusion import Scores
from database.searching.terms import terms_of, words
from dataset.chunks import Chunk

TITLE_REPEATS, HEADING_REPEATS, TITLE_REPEATS_IN_DOCUMENT = 3, 2, 5
"""Repetitions of title and headings in a text's terms: they state its topic."""
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)")
_LABEL = re.compile(r"^[ \t]*(?:[-+*] )?\*\*([^*\n]{1,80})\*\*", re.MULTILINE)
"""Names defined by a list, `- **Name** ...`: pages of an API have fields instead of headings."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed question."""

    terms: Mapping[str, Mapping[str, float]]
    """Each term, with its synonyms and their weight, 0 to 1."""
    names: tuple[str, ...] = ()
    """Names: words with a digit or an inner capital."""


class Vocabulary(dict[str, tuple[int, ...]]):
    """Numbers of the terms of each word; each distinct word is parsed once."""

    def __init__(self, numbers: Mapping[str, int], terms: Sequence[str]) -> None:
        """Start with the number of each term, and the term of each number; "" if it is free."""
        super().__init__()
        self.numbers = dict(numbers)
        self.terms = list(terms)
        self._free = [number for number, term in enumerate(terms) if not term]

    def __missing__(self, word: str) -> tuple[int, ...]:
        """Parse a new word."""
        self[word] = tuple(map(self._number, terms_of(word)))
        return self[word]

    def _number(self, term: str) -> int:
        if term in self.numbers:
            return self.numbers[term]
        if self._free:
            number = self._free.pop()
            self.terms[number] = term
        else:
            number = len(self.terms)
            self.terms.append(term)
        self.numbers[term] = number
        return number

    def forget(self, numbers: Iterable[int]) -> None:
        """Free the numbers of terms that occur nowhere any more."""
        for number in numbers:
            self.numbers.pop(self.terms[number], None)
            self.terms[number] = ""

    def read(self, text: str) -> list[int]:
        """The term numbers of a text, in order."""
        return list(chain.from_iterable(map(self.__getitem__, words(text))))


@dataclass(frozen=True, slots=True)
class _Read:
    """New documents, as terms per field."""

    names: list[str] = field(default_factory=list)
    document_of: list[int] = field(default_factory=list)
    """The document of each chunk, by index."""
    chunks: Texts = field(default_factory=Texts)
    whole: Texts = field(default_factory=Texts)
    headed: Texts = field(default_factory=Texts)
    """Distinct terms of each document's title, headings and list definitions."""

    def add(self, name: str, chunks: Sequence[Chunk], vocabulary: Vocabulary) -> None:
        """Add a document's chunks."""
        title = vocabulary.read(chunks[0].title)
        whole = TITLE_REPEATS_IN_DOCUMENT * title
        headed = set(title)
        for chunk in chunks:
            headings = vocabulary.read(" ".join(chunk.headings))
            body = vocabulary.read(_LINK_TARGET.sub("]", chunk.text))
            self.chunks.add(TITLE_REPEATS * title + HEADING_REPEATS * headings + body)
            self.document_of.append(len(self.names))
            whole += headings + body
            headed.update(headings, vocabulary.read(" ".join(_LABEL.findall(chunk.text))))
        self.whole.add(whole)
        self.headed.add(headed)
        self.names.append(name)


class LexicalIndex:
    """BM25 over the chunks and whole documents of one index."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        """Index chunks, grouped by document; sorted `in_order` if the index will be updated."""
        self.documents: tuple[str, ...] = ()
        self._document_of: TextIndexes = np.zeros(0, dtype=np.int32)
        self._numbers: Mapping[str, int] = {}
        self._terms: Sequence[str] = ()
        self._chunks = self._whole = self._headed = Field.empty()
        self._change(set(), chunks)

    def changed(self, removed: Collection[str], added: Sequence[Chunk]) -> "LexicalIndex":
        """The index after an update, equal to one built from all remaining chunks `in_order`.

        This one is not modified, for searches in progress. `removed` are names of documents, also
        unknown ones; `added` are all chunks of each new or replaced document.
        """
        index = copy(self)
        gone = {*removed, *(chunk.document for chunk in added)}
        index._change(gone, in_order(added))  # noqa: SLF001  # it is one of this class
        return index

    def _change(self, gone: Collection[str], come: Sequence[Chunk]) -> None:
        vocabulary = Vocabulary(self._numbers, self._terms)
        read = _Read()
        for name, chunks in groupby(come, key=lambda chunk: chunk.document):
            read.add(name, list(chunks), vocabulary)
        documents = self._change_documents(gone, read.names)
        kept = documents.kept[self._document_of]
        moved = documents.moved[self._document_of[kept]]
        document_of = documents.arrived[read.document_of]
        places = Splice(kept, np.searchsorted(moved, document_of))
        self._document_of = np.insert(moved, places.before, document_of)
        size = len(vocabulary.terms)
        self._chunks = self._chunks.changed(places, read.chunks, size)
        self._whole = self._whole.changed(documents, read.whole, size)
        self._headed = self._headed.changed(documents, read.headed, size)
        vocabulary.forget(np.flatnonzero(~(self._chunks.held | self._headed.held)).tolist())
        self._numbers, self._terms = vocabulary.numbers, vocabulary.terms

    def _change_documents(self, gone: Collection[str], come: Sequence[str]) -> Splice:
        kept = np.array([name not in gone for name in self.documents], dtype=np.bool_)
        staying = list(compress(self.documents, kept))
        before = np.array([bisect_left(staying, name) for name in come], dtype=np.int64)
        names = np.insert(np.array(staying, dtype=object), before, np.array(come, dtype=object))
        self.documents = tuple(names.tolist())
        return Splice(kept, before)

    def __len__(self) -> int:
        return len(self._document_of)

    def holders(self, term: str) -> int:
        """Number of chunks that contain a term."""
        number = self._numbers.get(term)
        return 0 if number is None else self._chunks.holders(number)

    def headed(self, term: str) -> int:
        """Number of documents with a term in their title, headings or list definitions."""
        number = self._numbers.get(term)
        return 0 if number is None else self._headed.holders(number)

    def rarity(self, term: str) -> float:
        """Idf of a term over the chunks; highest if no chunk contains it."""
        return idf(self.holders(term), len(self))

    def scores(self, query: Query, *, documents: float) -> Scores:
        """Score every chunk.

        Args:
            query: The parsed question.
            documents: Weight of a match in the whole document.

        Returns:
            One score per chunk; 0 if neither it nor its document contains a term of the question.
        """
        total = np.zeros(len(self), dtype=np.float32)
        for term, related in query.terms.items():
            self._add(total, term, related)
        about = np.zeros(len(self.documents), dtype=np.float32)
        known = [self._numbers[term] for term in query.terms if term in self._numbers]
        for number in known if documents else ():
            holders, scores = self._whole.column(number, documents)
            about[holders] += scores
        total += about[self._document_of]
        return total

    def _add(self, total: Scores, term: str, related: Mapping[str, float]) -> None:
        """Add to each chunk the best score of a term and its synonyms."""
        columns = []
        if term in self._numbers:
            columns.append(self._chunks.column(self._numbers[term]))
        rarity = self.rarity(term)
        for other, nearness in related.items():
            if other in self._numbers:
                # At most the weight of the term itself: a rare synonym must not outweigh it.
                weight = nearness * min(1, rarity / self.rarity(other))
                columns.append(self._chunks.column(self._numbers[other], weight))
        if len(columns) == 1:
            holders, scores = columns[0]
            total[holders] += scores
        elif columns:
            best = np.zeros_like(total)
            for holders, scores in columns:
                best[holders] = np.maximum(best[holders], scores)
            total += best


def in_order(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Sort chunks by document and position, as in an index."""
    return sorted(chunks, key=lambda chunk: (chunk.document, chunk.ordinal))
