"""Whether the documentation answers a question, told from what the search found.

A logistic model of three kinds of evidence. Its coefficients lie in `confidence.json`;
`make calibrate` fits them again to labelled questions.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path

from database.searching.lexical_index import LexicalIndex, Query
from database.searching.terms import terms, terms_of, word_parts
from dataset.chunks import Chunk
from dataset.sentences import scoring_sentences

MODEL_FILE = Path(__file__).with_name("confidence.json")
MAX_SENTENCE_CHUNKS = 5
"""How many of the best chunks are read for a sentence that answers."""
_IN_HEADINGS = 0.5
"""What a term is worth that stands above the sentence and not in it."""
_UNNAMED = 4.0
"""For a question that names nothing: as if many pages were about it."""
_MIN_TERMS = 3
"""Terms; a shorter piece is a label."""

StandsFor = dict[str, list[tuple[str, float]]]
"""Terms of a text, each with the question's terms that it stands for and how nearly, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ConfidenceFeatures:
    """What speaks for an answer."""

    coverage: float
    """How much of the question the best single sentence holds, its terms weighed by their rarity,
    0 to 1."""
    topicality: float
    """How many documents have the rarest word of the question's names in their headings or define
    it, ln(1 + n): a page that mentions a service in passing does not answer questions about it."""
    question_length: float
    """How much the question holds, ln(1 + terms): of a long one less is repeated in an answer."""


@dataclass(frozen=True, slots=True)
class ConfidenceModel:
    """Turns evidence into a probability."""

    coverage: float
    topicality: float
    question_length: float
    intercept: float
    threshold: float
    """From which confidence on a question is answered."""

    def confidence(self, evidence: ConfidenceFeatures) -> float:
        """Probability that the documentation answers, 0 to 1."""
        weights = (self.coverage, self.topicality, self.question_length)
        logit = self.intercept + sum(
            weight * value for weight, value in zip(weights, astuple(evidence), strict=True)
        )
        return 1 / (1 + math.exp(-logit))

    def save(self, path: Path = MODEL_FILE) -> None:
        """Write the coefficients where the service reads them."""
        fields = {name: round(value, 4) for name, value in asdict(self).items()}
        path.write_text(json.dumps(fields, indent=2) + "\n")


@cache
def shipped_model() -> ConfidenceModel:
    """The model that `confidence.json` describes."""
    return ConfidenceModel(**json.loads(MODEL_FILE.read_text()))


def extract_features(
    query: Query, best: Sequence[Chunk], index: LexicalIndex
) -> ConfidenceFeatures:
    """Weigh what was found.

    Args:
        query: The question.
        best: The chunks found, best first.
        index: The index they are from.
    """
    rarity = {term: index.rarity(term) for term in query.terms}
    stands_for = _by_term(query)
    named = [terms_of(part)[0] for name in query.names for part in word_parts(name)]
    return ConfidenceFeatures(
        coverage=max(
            (_said(stands_for, rarity, chunk) for chunk in best[:MAX_SENTENCE_CHUNKS]), default=0.0
        ),
        topicality=min((math.log1p(index.headed(term)) for term in named), default=_UNNAMED),
        question_length=math.log1p(len(query.terms)),
    )


def _said(stands_for: StandsFor, rarity: Mapping[str, float], chunk: Chunk) -> float:
    """How much of the question the chunk's best sentence holds."""
    whole = sum(rarity.values())
    if not whole:
        return 0.0
    above = _held(terms(chunk.breadcrumb), stands_for)
    best = 0.0
    for sentence in scoring_sentences(chunk.text):
        own = terms(sentence)
        if len(own) >= _MIN_TERMS:
            held = _held(own, stands_for)
            for term, nearness in above.items():
                held[term] = max(held.get(term, 0.0), _IN_HEADINGS * nearness)
            best = max(best, sum(rarity[term] * nearness for term, nearness in held.items()))
    return best / whole


def _by_term(query: Query) -> StandsFor:
    """For each term that may stand in a text, the question's terms that it stands for."""
    found: StandsFor = {}
    for term, related in query.terms.items():
        for other, nearness in {**related, term: 1.0}.items():
            found.setdefault(other, []).append((term, nearness))
    return found


def _held(own: Iterable[str], stands_for: StandsFor) -> dict[str, float]:
    """The question's terms that stand among others, each with how nearly, 0 to 1."""
    held: dict[str, float] = {}
    for term in stands_for.keys() & own:
        for asked, nearness in stands_for[term]:
            held[asked] = max(held.get(asked, 0.0), nearness)
    return held


def names_in(words: Iterable[str]) -> tuple[str, ...]:
    """The words of a question that name something: a letter, and a digit or a capital inside it."""
    return tuple(
        word
        for place, word in enumerate(words)
        if word_parts(word)
        and re.search(r"[A-Za-z]", word)
        and (re.search(r"[A-Z0-9]", word[1:]) or word[0].isdigit() or (place and word[0].isupper()))
    )
