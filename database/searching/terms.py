"""Tokenizer of lexical search: stemmed words; identifiers whole and in parts."""

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_LANGUAGE = r"(?:[Cc]\+\+|[CcFfJjQq]#(?!\w))"
"""A programming language named by a letter and a sign: C++ is not C."""
_WORD = re.compile(rf"(?<!\w){_LANGUAGE}|[^\W_]\w*(?:[.:/@-]\w+)*")
_PART = re.compile(
    rf"{_LANGUAGE}|[A-Z]{{2,}}(?=s(?![a-z]))|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
    r"|[^\W\dA-Za-z_]+"
)
_IDENTIFIER = re.compile(r"[a-z][A-Z]|\w[._:/]\w|\d[a-z]|[a-z]\d|[+#]$")
_ADDRESS = re.compile(r"/|:.*:")
_BETWEEN_NAMES = re.compile(r"[.:/@]")
_BETWEEN_WORDS = re.compile(r"[_-]")
_SPELLED = str.maketrans(
    dict(zip("øØłŁđĐðÐ\u0131", "oOlLdDdDi", strict=True))
    | {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th"}
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", "")
    | dict.fromkeys("\u2010\u2011\u2012\u2212", "-")
)
"""Letters that Unicode does not decompose, characters that are not visible, and hyphens."""
_MARKS = re.compile("[\u0300-\u036f]+")
_MAX_PARTS = 4
"""With more parts, a word with a slash or two colons is an address; else it is a name."""
_MAX_NAME_PARTS = 8
"""Names with more parts are not joined."""
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


def without_accents(text: str) -> str:
    """Letters without marks, and variants such as full-width letters or ligatures as plain ones."""
    if text.isascii():
        return text
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFC", plain.translate(_SPELLED))


def words(text: str) -> list[str]:
    """The words of a text, in order, without accents; an identifier is one word."""
    return _WORD.findall(without_accents(text))


def word_parts(word: str) -> list[str]:
    """The words of a name such as `CreateEndpoint`, in lower case, without stop words."""
    found = [part.lower() for part in _PART.findall(word[:_MAX_WORD_CHARACTERS])]
    return [part for part in found if part not in STOP_WORDS]


@lru_cache(maxsize=200_000)
def terms_of(word: str) -> tuple[str, ...]:
    """The terms of one word; of an identifier: itself, the names in it, and its parts.

    A name's parts are joined, so `CreateEndpointConfig` and `create_endpoint_config` are one term.
    """
    if word.lower() in STOP_WORDS:
        return ()
    whole = word[:_MAX_WORD_CHARACTERS]
    found = [_stem(part) for part in word_parts(whole)]
    if len(found) > 1 or _IDENTIFIER.search(whole):
        found = [whole.lower(), *map(_stem, _names(whole)), *found]
    return tuple(dict.fromkeys(found))


def is_address(word: str) -> bool:
    """True for a long path, URL or ARN: more than _MAX_PARTS parts, a slash or two colons."""
    return bool(_ADDRESS.search(word)) and len(_PART.findall(word)) > _MAX_PARTS


def terms(text: str) -> list[str]:
    """The terms of a text, in order, without stop words; an identifier itself comes first."""
    return [term for word in words(text) for term in terms_of(word)]


def is_identifier(term: str) -> bool:
    """True if a term is a whole identifier, not a plain word."""
    return not term.isalpha() and not term.isdecimal()


def identifiers(text: str) -> set[str]:
    """The identifiers of a text, whole and in lower case."""
    return {word.lower() for word in words(text) if _IDENTIFIER.search(word)}


def _names(word: str) -> Iterator[str]:
    """Each name in a word that has several parts: its parts joined, in lower case.

    `sm.create_job` -> `smcreatejob`, `createjob`; `API_CreateJob` -> `apicreatejob`, `createjob`.
    """
    names = [] if is_address(word) else [word]
    for name in _BETWEEN_NAMES.split(word):
        names += [name, *_BETWEEN_WORDS.split(name)]
    for name in dict.fromkeys(names):
        parts = _PART.findall(name)
        if 1 < len(parts) <= _MAX_NAME_PARTS:
            yield "".join(parts).lower()


def _stem(word: str) -> str:
    import Stemmer

    if not hasattr(_stemmers, "english"):
        _stemmers.english = Stemmer.Stemmer("english")
    stem: str = _stemmers.english.stemWord(word)
    return stem
