"""Checks of read and listed documents, and of searches restricted to one document."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.endurance.checker.checker import Checker, number_of
from tests.endurance.checker.model import Document, State
from tests.endurance.checker.violations import DOUBLED, HALF, LOST, MIXED, RESURRECTED, STALE, WRONG
from tests.endurance.documents.pages import Version, marks
from tests.endurance.system.exchange import Exchange

_EXCERPT = 160


def check_whole(checker: Checker, exchange: Exchange, document: Document, version: Version) -> bool:
    """Check a search restricted to a document: it must find all of its sections only."""
    checker.search(exchange)
    if exchange.status != 200:
        return False
    passages = exchange.body["passages"]
    found = {m.section for p in passages for m in marks(p["text"]) if m.section is not None}
    names = {passage["document"] for passage in passages} - {document.name}
    if names:
        what = f"a search restricted to {document.name} finds {sorted(names)}"
        checker.violation(WRONG, what, exchange, document.name)
    if checker.possible(exchange, document) != {version}:
        return len(found) == version.sections
    checker.checked["whole documents"] += 1
    if len(found) < version.sections:
        what = f"of {document.name} only sections {sorted(found)} are found"
        checker.violation(HALF if found else LOST, what, exchange, document.name)
    return len(found) == version.sections


def check_read(checker: Checker, exchange: Exchange, document: Document) -> State:
    """Check a read document; returns the state that it shows."""
    if not checker.status(exchange):
        shown: State = None
        if exchange.status != 404:
            return None
    else:
        shown = _version_read(checker, exchange, document)
    possible = checker.possible(exchange, document)
    if shown not in possible:
        kind = LOST if shown is None else RESURRECTED if possible == {None} else STALE
        what = f"{document.name} reads as {number_of(shown)}"
        checker.violation(kind, what, exchange, document.name)
    return shown


def _version_read(checker: Checker, exchange: Exchange, document: Document) -> State:
    """The one version whose sections are all in the text."""
    text = exchange.body["text"]
    present = marks(text)
    checker.belongs(exchange, document.name, text[:_EXCERPT], present)
    numbers = {mark.version for mark in present}
    if len(numbers) != 1 or not numbers <= document.versions.keys():
        what = f"{document.name} reads as versions {sorted(numbers)}"
        checker.violation(MIXED, what, exchange, document.name)
        return None
    version = document.versions[numbers.pop()]
    sections = {mark.section for mark in present} - {None}
    if len(sections) != version.sections:
        what = f"{document.name} reads as sections {sorted(map(str, sections))}"
        checker.violation(HALF, what, exchange, document.name)
    return version


def check_list(
    checker: Checker, exchange: Exchange, listed: Sequence[Mapping[str, Any]], total: int
) -> None:
    """Compare a whole list, taken while nothing changed, with the model."""
    checker.checked["lists"] += 1
    tally = Counter(str(each["name"]) for each in listed)
    for name in [name for name, times in tally.items() if times > 1]:
        checker.violation(DOUBLED, f"{name} is listed {tally[name]} times", exchange, name)
    if total != len(listed):
        what = f"the list's total is {total} and it has {len(listed)}"
        checker.violation(WRONG, what, exchange)
    expected = {document.name: version for document, version in checker.model.present()}
    for name in expected.keys() - tally.keys():
        checker.violation(LOST, f"{name} is not listed", exchange, name)
    for name in tally.keys() - expected.keys():
        kind = RESURRECTED if name in checker.model.documents else WRONG
        checker.violation(kind, f"{name} is listed", exchange, name)
    for each in listed:
        document = checker.model.documents.get(each["name"])
        if document and document.etag and each["etag"] != document.etag:
            what = f"{document.name} is listed with the etag of other content"
            checker.violation(STALE, what, exchange, document.name)
