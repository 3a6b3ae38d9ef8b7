"""Compares every response with the states that it may show."""

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.endurance.checker.model import Document, Model, State
from tests.endurance.checker.violations import (
    ANSWERED,
    DOUBLED,
    HALF,
    LOST,
    MIXED,
    RESURRECTED,
    STALE,
    STATUS,
    WRONG,
    Violation,
)
from tests.endurance.checker.windows import BUILD, STORE, worker_window
from tests.endurance.documents.pages import Mark, Version, marks
from tests.endurance.system.exchange import NO_ANSWER, Exchange

_EXCERPT = 160


@dataclass(slots=True)
class Checker:
    """Checks exchanges; collects counts and violations."""

    model: Model
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Requests by route and status."""
    checked: Counter[str] = field(default_factory=Counter)
    """The number of checks by kind."""

    def report(self, kind: str, what: str, **facts: Any) -> None:
        """Record a violation."""
        self.violations.append(Violation(kind, what, facts))

    def failed(self, error: BaseException) -> None:
        """Record a response that could not be parsed."""
        at = traceback.extract_tb(error.__traceback__)[-1]
        self.report(
            WRONG, f"a response of unexpected form: {error!r}", line=f"{at.name}:{at.lineno}"
        )

    def status(self, exchange: Exchange) -> bool:
        """Count an exchange and check its status; True if it is 200."""
        self.counts[exchange.route, exchange.status] += 1
        windows, status = self.model.windows, exchange.status
        span = exchange.sent, exchange.received
        if status == NO_ANSWER:
            fine = windows.overlap([worker_window(exchange.worker)], *span)
        elif status == 503:
            fine = windows.overlap([STORE], *span)
        elif status == 409:
            fine = status in ANSWERED[exchange.route] and windows.overlap([BUILD], *span)
        else:
            fine = status in ANSWERED[exchange.route]
        if not fine:
            name = exchange.error or "no answer" if status == NO_ANSWER else str(status)
            self.violation(STATUS, f"{exchange.route} gave {name}", exchange, body=exchange.body)
        return status == 200

    def search(self, exchange: Exchange, expected: Mark | None = None) -> bool:
        """Check a search result; True if the expected mark is found."""
        if not self.status(exchange):
            return False
        return self.passages(exchange, exchange.body["passages"], expected)

    def answer(self, exchange: Exchange, expected: Mark | None = None) -> None:
        """Check an answer: its passages, documents and quotes."""
        if self.status(exchange):
            answer = exchange.body
            self.passages(exchange, answer["passages"], expected)
            self._named(exchange, answer["docs"])
            self._quoted(exchange, answer["citations"])

    def stream(self, exchange: Exchange, expected: Mark | None = None) -> None:
        """Check the events of a streamed answer."""
        if self.status(exchange):
            for data in exchange.body:
                if "passages" in data:
                    self.passages(exchange, data["passages"], expected)
                if "docs" in data:
                    self._named(exchange, data["docs"])
                    self._quoted(exchange, data["citations"])

    def endpoint(self, exchange: Exchange) -> None:
        """Check an answer of the original route."""
        if self.status(exchange):
            self._named(exchange, exchange.body["docs"])

    def passages(
        self,
        exchange: Exchange,
        passages: Sequence[Mapping[str, Any]],
        expected: Mark | None = None,
    ) -> bool:
        """Check the passages of one response; True if the expected mark is found."""
        versions: dict[str, set[int]] = {}
        texts: set[tuple[str, str]] = set()
        found: set[Mark] = set()
        for passage in passages:
            name, text = passage["document"], passage["text"]
            self.checked["passages"] += 1
            if text and (name, text) in texts:
                self.violation(DOUBLED, f"a duplicate passage of {name}", exchange, text=text)
            texts.add((name, text))
            present = marks(f"{passage['title']} {text}")
            self.belongs(exchange, name, text, present)
            found |= present
            versions.setdefault(name, set()).update(mark.version for mark in present)
        for name, numbers in versions.items():
            if len(numbers) > 1:
                what = f"{name} in versions {sorted(numbers)} in one response"
                self.violation(MIXED, what, exchange, name)
            elif name in self.model.documents:
                document = self.model.documents[name]
                shown = document.versions.get(next(iter(numbers), 0))
                if shown is not None or not numbers:
                    self._may_be_shown(exchange, document, shown)
        if expected is not None:
            self._check_found(exchange, expected, found)
        return expected in found

    def _quoted(self, exchange: Exchange, citations: Sequence[Mapping[str, Any]]) -> None:
        """Check the documents and quotes of citations; not every quote contains a mark."""
        for each in citations:
            for mark in marks(f"{each['title']} {each['quote']}"):
                document = self.model.of(mark)
                if document is None or document.name != each["document"]:
                    what = f"a quote of {each['document']} shows other text"
                    self.violation(MIXED, what, exchange, each["document"], text=each["quote"])
                else:
                    self._may_be_shown(exchange, document, document.versions[mark.version])

    def belongs(self, exchange: Exchange, name: str, text: str, present: Iterable[Mark]) -> None:
        """Check that a passage belongs to its document, and that this was ever written."""
        for mark in present:
            document = self.model.of(mark)
            if document is None:
                self.violation(
                    WRONG, f"{name} shows text that was never written", exchange, text=text
                )
            elif document.name != name:
                what = f"a passage of {name} shows text of {document.name}"
                self.violation(MIXED, what, exchange, name, text=text)
        if name not in self.model.documents:
            self.violation(WRONG, f"{name} was never written", exchange, text=text)
        elif not present and not self.model.documents[name].permanent:
            self.violation(WRONG, f"{name} shows other text", exchange, name, text=text)

    def _may_be_shown(self, exchange: Exchange, document: Document, shown: State) -> None:
        """Check that a document may exist, in the version shown."""
        possible = self.possible(exchange, document)
        self.checked["versions"] += 1
        if shown in possible or (shown is None and possible != {None}):
            return
        if possible == {None}:
            what = f"{document.name} is shown but does not exist"
            self.violation(RESURRECTED, what, exchange, document.name)
        else:
            number = shown.number if shown else None
            what = f"{document.name} is shown in version {number}, which is not the current one"
            self.violation(STALE, what, exchange, document.name)

    def _check_found(self, exchange: Exchange, expected: Mark, found: set[Mark]) -> None:
        """Check that a version searched for by its marker was found if it must be visible."""
        document = self.model.of(expected)
        if document is None:
            return
        version = document.versions[expected.version]
        if self.possible(exchange, document) == {version}:
            self.checked["expected"] += 1
            if expected not in found:
                whole = Mark(expected.document, expected.version, None)
                kind = HALF if expected.section is not None and whole in found else LOST
                what = f"{document.name} is not found by its marker"
                self.violation(kind, what, exchange, document.name)

    def _named(self, exchange: Exchange, names: Sequence[str]) -> None:
        """Check the documents that an answer names."""
        if len(set(names)) < len(names):
            self.violation(DOUBLED, "an answer names a document twice", exchange, names=names)
        for name in names:
            document = self.model.documents.get(name)
            if document is None:
                self.violation(WRONG, f"{name} was never written", exchange)
            elif self.possible(exchange, document) == {None}:
                what = f"an answer names {name}, which does not exist"
                self.violation(RESURRECTED, what, exchange, name)

    def possible(self, exchange: Exchange, document: Document) -> set[State]:
        """The states that a response may show."""
        return self.model.possible(document, exchange.sent, exchange.received, exchange.worker)

    def violation(
        self, kind: str, what: str, exchange: Exchange, name: str = "", **more: Any
    ) -> None:
        """Record a violation with the facts of its exchange and document."""
        document = self.model.documents.get(name)
        facts: dict[str, Any] = {
            "route": exchange.route,
            "worker": exchange.worker,
            "asked": exchange.asked,
            "sent": round(exchange.sent, 3),
            "received": round(exchange.received, 3),
        }
        if document:
            possible = self.possible(exchange, document)
            facts["possible"] = sorted(number_of(state) for state in possible)
            facts["history"] = history(document)[-8:]
        self.violations.append(Violation(kind, what, facts | _short(more)))


def history(document: Document) -> list[str]:
    """The states of a document in words, oldest first."""
    spans = [("api", span) for span in document.api.spans if span.touched]
    spans += [("folder", span) for span in document.folder.spans]
    return [
        f"{layer}: {number_of(span.state)} from {span.begun:.3f} to {span.ended:.3f}"
        + (f" by {span.ended_by}" if span.ended_by else "")
        + (", under way" if span.in_flight else "")
        for layer, span in sorted(spans, key=lambda each: each[1].begun)
    ]


def number_of(state: Version | None) -> str:
    """A state in words."""
    return "absent" if state is None else f"version {state.number}"


def _short(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value)[:_EXCERPT] for name, value in facts.items()}
