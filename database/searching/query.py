"""A question as the two sides of search read it."""

from collections.abc import Mapping
from itertools import islice

from database.searching.confidence import names_in
from database.searching.lexical_index import Query
from database.searching.synonyms import RelatedWords
from database.searching.terms import terms_of, word_parts, words
from dataset.sentences import question_clauses

MAX_CLAUSES = 3
"""How many clauses of a question are embedded beside the whole of it."""
MAX_RELATED = 40
"""For how many words of a question others are looked for: each may cost a run of the model."""
_MIN_CLAUSE_WORDS = 3
"""Words."""


def read_question(question: str, related: RelatedWords | None, weight: float) -> Query:
    """Take a question apart.

    Args:
        question: As it was asked.
        related: The words of the index; None to do without words that mean nearly the same.
        weight: What such a word is worth, times the square of its nearness; at most 1.
    """
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


def clauses(question: str) -> list[str]:
    """The clauses of a question that has several; [] for one that has not.

    People tell a story and then ask, or give a title and then the matter.
    """
    found = [part for part in question_clauses(question) if len(part.split()) >= _MIN_CLAUSE_WORDS]
    return found[:MAX_CLAUSES] if len(found) > 1 else []
