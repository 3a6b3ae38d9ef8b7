"""Confidence: the probability that the documentation answers a question, from a search's results.

Logistic regression over four features (`ConfidenceFeatures`):

    p = 1 / (1 + exp(-(b0 + b1 term_coverage + b2 topicality + b3 question_length
                          + b4 cosine_z_score)))

The coefficients are in `confidence.json`; `make calibrate` fits them to labelled questions.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from database.searching.lexical_index import LexicalIndex, Query
from database.searching.terms import terms, terms_of, word_parts

MODEL_FILE = Path(__file__).with_name("confidence.json")
MAX_TEXTS = 5
"""Best passages that are searched for the question's terms."""
_UNNAMED = 4.0
"""Topicality of a question without names: as if many pages were about it."""
_NAME_TERMS = 2

TermMatches = dict[str, list[tuple[str, float]]]
"""Terms of a text, each with the question's terms it matches and the similarity, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ConfidenceFeatures:
    """The features of a question and its search results."""

    term_coverage: float
    """Share of the question's terms in the best single passage, weighted by idf, 0 to 1."""
    topicality: float
    """ln(1 + n) for the n documents with the rarest name of the question in their headings or lists
    of definitions: a page that only mentions a service does not answer questions about it."""
    question_length: float
    """ln(1 + terms), at least 2: an answer repeats a smaller share of a long question; a single
    term is a name, as in "What is Canvas?"."""
    cosine_z_score: float
    """Standard deviations by which the best chunk's cosine exceeds the mean of the index, less the
    excess expected by chance: comparable between embedding models and sizes of the index."""


@dataclass(frozen=True, slots=True)
class ConfidenceModel:
    """The coefficients of the logistic model."""

    term_coverage: float
    topicality: float
    question_length: float
    cosine_z_score: float
    intercept: float
    threshold: float
    """Minimum confidence to answer a question without a language model."""
    call_threshold: float
    """Minimum confidence to call a language model."""

    def confidence(self, evidence: ConfidenceFeatures) -> float:
        """Probability p that the documentation answers, 0 to 1."""
        logit = self.intercept + sum(
            getattr(self, feature) * value for feature, value in asdict(evidence).items()
        )
        return 1 / (1 + math.exp(-logit))

    def save(self, path: Path = MODEL_FILE) -> None:
        """Write the coefficients, by default where the service reads them."""
        fields = {name: round(value, 4) for name, value in asdict(self).items()}
        path.write_text(json.dumps(fields, indent=2) + "\n")


@cache
def shipped_model() -> ConfidenceModel:
    """The model of `confidence.json`."""
    return ConfidenceModel(**json.loads(MODEL_FILE.read_text()))


def extract_features(
    query: Query, texts: Sequence[str], index: LexicalIndex, cosine_z_score: float
) -> ConfidenceFeatures:
    """The features of a question, the passages found (with their headings) and their index."""
    rarity = {term: index.rarity(term) for term in query.terms}
    matches = _term_matches(query)
    named = [terms_of(part)[0] for name in query.names for part in word_parts(name)]
    return ConfidenceFeatures(
        term_coverage=max(
            (_term_coverage(matches, rarity, text) for text in texts[:MAX_TEXTS]), default=0.0
        ),
        topicality=min((math.log1p(index.headed(term)) for term in named), default=_UNNAMED),
        question_length=math.log1p(max(len(query.terms), _NAME_TERMS) if query.terms else 0),
        cosine_z_score=cosine_z_score,
    )


def _term_coverage(matches: TermMatches, rarity: Mapping[str, float], text: str) -> float:
    """Coverage of the question by a text."""
    whole = sum(rarity.values())
    matched = _matched_terms(set(terms(text)), matches)
    return sum(rarity[term] * nearness for term, nearness in matched.items()) / (whole or 1.0)


def _term_matches(query: Query) -> TermMatches:
    """For each term that can occur in a text, the question's terms it matches."""
    found: TermMatches = {}
    for term, related in query.terms.items():
        for other, nearness in {**related, term: 1.0}.items():
            found.setdefault(other, []).append((term, nearness))
    return found


def _matched_terms(own: Iterable[str], matches: TermMatches) -> dict[str, float]:
    """The question's terms matched by a text's terms, with the similarity, 0 to 1."""
    matched: dict[str, float] = {}
    for term in matches.keys() & own:
        for question_term, nearness in matches[term]:
            matched[question_term] = max(matched.get(question_term, 0.0), nearness)
    return matched


def names_in(words: Iterable[str]) -> tuple[str, ...]:
    """The names in a question: words with a letter, and a digit or an inner capital."""
    return tuple(
        word
        for place, word in enumerate(words)
        if word_parts(word)
        and re.search(r"[A-Za-z]", word)
        and (re.search(r"[A-Z0-9]", word[1:]) or word[0].isdigit() or (place and word[0].isupper()))
    )
