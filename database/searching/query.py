"""Query parsing: terms with synonyms, and names, for BM25."""

from collections.abc import Mapping
from itertools import islice

from database.searching.confidence import names_in
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.synonyms import RelatedWords
from database.searching.terms import is_address, terms_of, word_parts, words

MAX_RELATED = 40
"""Words of a question for which synonyms are looked up; each may cost an inference."""


def read_question(
    question: str, index: LexicalIndex, related: RelatedWords | None, weight: float
) -> Query:
    """Parse a question; the weight of synonyms is explained in `synonyms`.

    What an address contains and the index does not is left out: it names a user's own things.
    """
    asked = words(question)
    addresses = {word for word in asked if is_address(word)}
    near: dict[str, Mapping[str, float]] = {
        term: {}
        for word in asked
        for term in terms_of(word)
        if word not in addresses or index.holders(term)
    }
    if related and weight:
        plain_words = dict.fromkeys(
            part
            for word in asked
            for part in word_parts(word)
            if part.isalpha() and terms_of(part)[0] in near
        )
        for part, others in related.near(islice(plain_words, MAX_RELATED)).items():
            (stem,) = terms_of(part)
            near[stem] = {other: min(1.0, weight * cosine**2) for other, cosine in others.items()}
    return Query(near, names_in(word for word in asked if word not in addresses))
