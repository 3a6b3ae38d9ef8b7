"""Query parsing: terms with synonyms, and names, for BM25."""

from collections.abc import Mapping
from itertools import islice

from database.searching.confidence import names_in
from database.searching.lexical_index import Query
from database.searching.synonyms import RelatedWords
from database.searching.terms import terms_of, word_parts, words

MAX_RELATED = 40
"""Words of a question for which synonyms are looked up; each may cost an inference."""


def read_question(question: str, related: RelatedWords | None, weight: float) -> Query:
    """Parse a question; the weight of synonyms is explained in `synonyms`."""
    asked = words(question)
    near: dict[str, Mapping[str, float]] = {term: {} for word in asked for term in terms_of(word)}
    if related and weight:
        spoken = dict.fromkeys(
            part for word in asked for part in word_parts(word) if part.isalpha()
        )
        for part, others in related.near(islice(spoken, MAX_RELATED)).items():
            (stem,) = terms_of(part)
            near[stem] = {other: min(1.0, weight * cosine**2) for other, cosine in others.items()}
    return Query(near, names_in(asked))
