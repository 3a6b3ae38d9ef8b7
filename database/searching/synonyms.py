"""Synonyms: words of the documentation with nearly the meaning of a question's word.

Users ask with other words than the pages: `annotator` for worker, `disk` for volume. A build embeds
each word that several chunks contain; synonyms of a question's word are the words whose vectors
have a cosine of at least MIN_COSINE to its own, at most MAX_SYNONYMS. In BM25 a synonym s counts
for the question's term t with (`query.read_question`, `LexicalIndex.scores`)

    w(s, t) = min(1, Ranking.related * cos(s, t)^2) * min(1, idf(t) / idf(s))

and of t and its synonyms in a chunk only the best one counts. (Query expansion with embeddings;
cf. Kuzi, Shtok and Kurland 2016, doi:10.1145/2983323.2983876.)
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from database.embedding.batch_cache import BatchCache
from database.searching.terms import STOP_WORDS, terms_of, without_accents

MIN_CHUNKS = 5
"""Words of fewer chunks are left out: mostly names and typing errors."""
_MIN_SHARE = 0.001
"""In an index of fewer than 5,000 chunks the minimum is this share of them, and at least 2."""
_TINY = 100
"""Chunks; in an index of fewer, MIN_CHUNKS is not reduced: two of them are weak evidence."""
MAX_SYNONYMS = 16
"""Synonyms per word."""
MIN_COSINE = 0.45
"""Cosine from which a word counts as a synonym."""
_REMEMBERED = 4096

_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,40}(?![A-Za-z])")
_NAME = re.compile(r"[a-z][A-Z]")


def corpus_words(texts: Iterable[str]) -> dict[str, str]:
    """The words of several texts: each stem with its most frequent form.

    MIN_CHUNKS texts must contain a word; in a small index fewer, see _MIN_SHARE and _TINY.
    """
    holders: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    size = 0
    for size, text in enumerate(texts, start=1):  # noqa: B007  # counts an iterator
        here = {
            word.lower()
            for word in set(_WORD.findall(without_accents(text)))
            if not _NAME.search(word)
        }
        stems = {form: terms_of(form)[0] for form in here - STOP_WORDS}
        for form, stem in stems.items():
            forms.setdefault(stem, Counter())[form] += 1
        holders.update(set(stems.values()))
    fewest = MIN_CHUNKS if size < _TINY else max(2, min(MIN_CHUNKS, int(_MIN_SHARE * size)))
    return {
        stem: min(forms[stem], key=lambda form: (-forms[stem][form], form))
        for stem in sorted(holders)
        if holders[stem] >= fewest
    }


class RelatedWords:
    """The words of an index with their vectors; safe to use from any number of threads."""

    def __init__(
        self,
        stems: Sequence[str],
        vectors: npt.NDArray[np.float32],
        embed: Callable[[list[str]], Sequence[Sequence[float]]],
    ) -> None:
        """Take the stems of the words, by `terms`, and their unit vectors, (words, dimension).

        `embed` embeds words with the same model.
        """
        self._stems = stems
        self._places = {stem: place for place, stem in enumerate(stems)}
        self._vectors = vectors
        self._embed = embed
        self._near = BatchCache(_REMEMBERED, self._look)

    def __len__(self) -> int:
        return len(self._stems)

    def near(self, words: Iterable[str]) -> dict[str, Mapping[str, float]]:
        """The synonyms of each word, nearest first: stem and cosine; {} if it has none.

        Words that are not cached are embedded in one call, which may be a network request.
        """
        return self._near.get(words)

    def _look(self, words: list[str]) -> list[Mapping[str, float]]:
        if not self._stems:
            return [{} for _ in words]
        stems = {word: terms_of(word) for word in words}
        vectors = {
            word: self._vectors[self._places[own[0]]]
            for word, own in stems.items()
            if own and own[0] in self._places
        }
        unknown = [word for word in words if word not in vectors]
        if unknown:
            embedded = np.asarray(self._embed(unknown), dtype=np.float32)
            vectors |= zip(unknown, embedded, strict=True)
        return [self._nearest(vectors[word], own) for word, own in stems.items()]

    def _nearest(self, vector: npt.NDArray[np.float32], own: Sequence[str]) -> Mapping[str, float]:
        """The words nearest to a vector, without the word's own stems."""
        cosines = self._vectors @ vector
        best = np.argsort(-cosines)[: MAX_SYNONYMS + len(own)]
        near = {self._stems[at]: float(cosines[at]) for at in best if cosines[at] >= MIN_COSINE}
        return dict([pair for pair in near.items() if pair[0] not in own][:MAX_SYNONYMS])
