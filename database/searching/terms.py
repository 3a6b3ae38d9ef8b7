"""Tokenizer of lexical search: stemmed words; identifiers whole and in parts."""

import re
import threading
from functools import lru_cache

_WORD = re.compile(r"[A-Za-z0-9]\w*(?:[.:/@-]\w+)*")
_PART = re.compile(r"[A-Z]{2,}(?=s(?![a-z]))|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDENTIFIER = re.compile(r"[a-z][A-Z]|\w[._:/]\w|\d[a-z]|[a-z]\d")
_MAX_PARTS = 4
"""A name with more parts is a path or an address, which has no other spelling."""
_MAX_WORD_CHARACTERS = 200
"""Longer words are data; only this many characters count."""
STOP_WORDS = frozenset(
    """a about again all also am an and any are as at be because been before being between both
    but by can could did do does doing don down each else few for from further get give had has
    have having he her here how i if in into is isn it its just know let like ll make me more most
    much my need no nor not now of off on once only or other our out over own please possible re s
    same seem she should so some such t than that the their them then there these they thing this
    those through to too under until up us use used using ve very want was way we were what when
    where which while who why will with won work would you your amazon aws
    sagemaker""".split()  # noqa: SIM905 (a hundred quoted words are no easier to read)
)

_stemmers = threading.local()
"""Snowball's stemmer is not thread-safe."""


def words(text: str) -> list[str]:
    """The words of a text, in order; an identifier is one word."""
    return _WORD.findall(text)


def word_parts(word: str) -> list[str]:
    """The words of a name such as `CreateEndpoint`, in lower case, without stop words."""
    found = [part.lower() for part in _PART.findall(word[:_MAX_WORD_CHARACTERS])]
    return [part for part in found if part not in STOP_WORDS]


@lru_cache(maxsize=200_000)
def terms_of(word: str) -> tuple[str, ...]:
    """The terms of one word; of a name: itself, its parts joined, and its parts.

    `CreateEndpointConfig` and `create_endpoint_config` match by their joined parts.
    """
    if word.lower() in STOP_WORDS:
        return ()
    found = stems = tuple(_stem(part) for part in word_parts(word))
    if 1 < len(stems) <= _MAX_PARTS:
        found = ("".join(stems) + "_", *found)
    if len(stems) > 1 or _IDENTIFIER.search(word):
        found = (word[:_MAX_WORD_CHARACTERS].lower(), *found)
    return found


def terms(text: str) -> list[str]:
    """The terms of a text, in order, without stop words; an identifier itself comes first."""
    return [term for word in words(text) for term in terms_of(word)]


def is_identifier(term: str) -> bool:
    """True if a term is a whole identifier, not a plain word."""
    return not term.isalpha() and not term.isdecimal()


def identifiers(text: str) -> set[str]:
    """The identifiers of a text, whole and in lower case."""
    return {word.lower() for word in words(text) if _IDENTIFIER.search(word)}


def _stem(word: str) -> str:
    import Stemmer

    if not hasattr(_stemmers, "english"):
        _stemmers.english = Stemmer.Stemmer("english")
    stem: str = _stemmers.english.stemWord(word)
    return stem
