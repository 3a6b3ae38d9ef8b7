"""Words of the documentation that mean nearly what a question's word means.

People ask with other words than the pages use: `annotator` for worker, `disk` for volume. The
bridge is learned from the corpus and the embedding model alone: every word that stands in the
index often enough has a vector, and a question's word is near those whose vectors point its way.
"""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt

from database.searching.terms import STOP_WORDS, terms_of

MIN_CHUNKS = 5
"""A word in fewer chunks is left out: it is a name or a slip more often than a word."""
MAX_SYNONYMS = 16
"""How many words may stand for one."""
NEAREST = 0.45
"""The cosine from which on a word counts as near."""
_REMEMBERED = 4096

_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{3,40}(?![A-Za-z])")
_NAME = re.compile(r"[a-z][A-Z]")


def corpus_words(texts: Iterable[str]) -> dict[str, str]:
    """The words that stand in enough texts: stem, with the form it is most often written in."""
    holders: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    for text in texts:
        here = {word.lower() for word in set(_WORD.findall(text)) if not _NAME.search(word)}
        stems = {form: terms_of(form)[0] for form in here - STOP_WORDS}
        for form, stem in stems.items():
            forms.setdefault(stem, Counter())[form] += 1
        holders.update(set(stems.values()))
    return {
        stem: min(forms[stem], key=lambda form: (-forms[stem][form], form))
        for stem in sorted(holders)
        if holders[stem] >= MIN_CHUNKS
    }


class RelatedWords:
    """The words of an index with their vectors; any number of threads may ask at once."""

    def __init__(
        self,
        stems: Sequence[str],
        vectors: npt.NDArray[np.float32],
        embed: Callable[[list[str]], Sequence[Sequence[float]]],
    ) -> None:
        """Hold the words.

        Args:
            stems: The words, as `terms` gives them.
            vectors: Their vectors of unit length, (words, dimension).
            embed: Embeds a question's words with the same model.
        """
        self._stems = stems
        self._places = {stem: place for place, stem in enumerate(stems)}
        self._vectors = vectors
        self._embed = embed
        self._known: OrderedDict[str, Mapping[str, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._stems)

    def near(self, words: Iterable[str]) -> dict[str, Mapping[str, float]]:
        """Find the words near each of these, nearest first: stem and cosine; {} without any.

        What is not known yet is given to be embedded in one go, for it may go over the network.
        """
        found: dict[str, Mapping[str, float]] = {}
        with self._lock:
            for word in words:
                if word in self._known:
                    self._known.move_to_end(word)
                found[word] = self._known.get(word, {})
            new = [word for word in found if word not in self._known]
        looked_up = self._look(new)
        with self._lock:
            for word, near in looked_up.items():
                self._known[word] = near
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return found | looked_up

    def _look(self, words: list[str]) -> dict[str, Mapping[str, float]]:
        if not self._stems:
            return {word: {} for word in words}
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
        return {word: self._nearest(vectors[word], own) for word, own in stems.items()}

    def _nearest(self, vector: npt.NDArray[np.float32], own: Sequence[str]) -> Mapping[str, float]:
        """The words whose vectors point a vector's way, its word's own stems left out."""
        cosines = self._vectors @ vector
        best = np.argsort(-cosines)[: MAX_SYNONYMS + len(own)]
        near = {self._stems[at]: float(cosines[at]) for at in best if cosines[at] >= NEAREST}
        return dict([pair for pair in near.items() if pair[0] not in own][:MAX_SYNONYMS])
