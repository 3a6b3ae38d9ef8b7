"""Words as the extractive answer compares them: identifiers whole and by part, endings off."""

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Za-z0-9][\w]*(?:[.:/-]\w+)*")
_PART = re.compile(r"[A-Z]{2,}(?=s(?![a-z]))|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_IDENTIFIER = re.compile(r"[a-z][A-Z]|\w[._:/]\w|\d[a-z]|[a-z]\d")
_ENDINGS = ("ations", "ation", "ings", "ing", "ions", "ion", "ed", "es", "er", "s", "e", "y")
STOP_WORDS = frozenset(
    """a about again all also am an and any are as at be because been before being between both
    but by can could did do does doing don down each else few for from further get give had has
    have having he her here how i if in into is isn it its just know let like ll make me more most
    much my need no nor not now of off on once only or other our out over own please possible re
    same seem she should so some such t than that the their them then there these they thing this
    those through to too under until up us use used using ve very want was way we were what when
    where which while who why will with won work would you your amazon aws
    sagemaker""".split()  # noqa: SIM905 (a hundred quoted words are no easier to read)
)


@lru_cache(maxsize=50_000)
def _terms_of(word: str) -> tuple[str, ...]:
    parts = [_stem(part.lower()) for part in _PART.findall(word) if part.lower() not in STOP_WORDS]
    if _IDENTIFIER.search(word):
        return (word.lower(), *parts)
    return tuple(parts)


def terms(text: str) -> list[str]:
    """List the text's terms in order, stop words left out; an identifier gives itself first."""
    return [term for word in _WORD.findall(text) for term in _terms_of(word)]


def is_identifier(term: str) -> bool:
    """Tell a whole identifier, as `terms` gives it, from a plain word."""
    return not term.isalpha() and not term.isdecimal()


def identifiers(text: str) -> set[str]:
    """Find the identifiers of a text, in lower case and whole."""
    return {word.lower() for word in _WORD.findall(text) if _IDENTIFIER.search(word)}


def _stem(word: str) -> str:
    """Take one common ending off, leaving four letters at least."""
    if word.endswith("ss"):
        return word
    if word.endswith("ies") and len(word) > 4:
        word = f"{word[:-3]}y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4 - (ending in {"s", "ed", "e"}):
            stem = word[: -len(ending)]
            # "stopped" and "stop", "labelling" and "label"
            return stem[:-1] if len(stem) > 4 and stem[-1] == stem[-2] != "s" else stem
    return word
