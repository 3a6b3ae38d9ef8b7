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

from database.terms import STOP_WORDS, terms_of

FEWEST_CHUNKS = 5
"""A word in fewer chunks is left out: it is a name or a slip more often than a word."""
MOST = 16
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
        if holders[stem] >= FEWEST_CHUNKS
    }


class RelatedWords:
    """The words of an index with their vectors; any number of threads may ask at once."""

    def __init__(
        self,
        stems: Sequence[str],
        vectors: npt.NDArray[np.float32],
        embed: Callable[[str], Sequence[float]],
    ) -> None:
        """Hold the words.

        Args:
            stems: The words, as `terms` gives them.
            vectors: Their vectors of unit length, (words, dimension).
            embed: Embeds a question's word with the same model.
        """
        self._stems = stems
        self._places = {stem: place for place, stem in enumerate(stems)}
        self._vectors = vectors
        self._embed = embed
        self._known: OrderedDict[str, Mapping[str, float]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._stems)

    def near(self, word: str) -> Mapping[str, float]:
        """Find the words near one, nearest first: stem and cosine; {} without any."""
        with self._lock:
            if word in self._known:
                self._known.move_to_end(word)
                return self._known[word]
        found = self._look(word)
        with self._lock:
            self._known[word] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def _look(self, word: str) -> Mapping[str, float]:
        if not self._stems:
            return {}
        own = terms_of(word)
        known = self._places.get(own[0]) if own else None
        vector = self._embed(word) if known is None else self._vectors[known]
        cosines = self._vectors @ np.asarray(vector, dtype=np.float32)
        best = np.argsort(-cosines)[: MOST + len(own)]
        near = {self._stems[at]: float(cosines[at]) for at in best if cosines[at] >= NEAREST}
        return dict([pair for pair in near.items() if pair[0] not in own][:MOST])
