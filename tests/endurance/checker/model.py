"""The expected state: for each document, the states that a reader may see at a moment.

A state may be seen from the moment in which its write was sent. It may no longer be seen once the
next write was acknowledged: by the worker that acknowledged it at once, by any other after
CHANGE_SECONDS. A write of unknown outcome leaves both states open until a read settles it.
"""

import math
from dataclasses import dataclass, field, replace

from tests.endurance.checker.windows import STORE, SWAP, Windows
from tests.endurance.documents.pages import Mark, Version, make_version

CHANGE_SECONDS = 2.0
"""The time after which every replica must show a change by the API."""
BUILD_SECONDS = 5.0
"""After so long an index that went live is open in every replica: it is noticed within two, and
opening it takes as long as reading it."""

State = Version | None
"""None: there is no such document."""


@dataclass(slots=True, eq=False)
class Span:
    """The time in which a state of a document may be visible."""

    state: State
    begun: float
    touched: bool = True
    """False for the state before the API's first write; then the folder's state applies."""
    in_flight: bool = False
    ended: float = math.inf
    ended_by: str = ""
    """The worker that acknowledged the write that replaced it."""
    allowance: float = CHANGE_SECONDS
    """Seconds for the other replicas to follow."""

    @property
    def is_open(self) -> bool:
        """True if it may be the current state."""
        return self.ended == math.inf


class Layer:
    """The states of one document by one writer: the API or the builder."""

    def __init__(self, first: Span) -> None:
        self.spans = [first]

    def begin(self, state: State, now: float) -> Span:
        """Record that a write is sent."""
        self.spans.append(Span(state, now, in_flight=True))
        return self.spans[-1]

    def done(self, span: Span, now: float, by: str = "", allowance: float = CHANGE_SECONDS) -> None:
        """Record its acknowledgement, which ends the previous states."""
        span.in_flight = False
        self._end([each for each in self.spans if each is not span], now, by, allowance)

    def refused(self, span: Span) -> None:
        """Record that it was rejected."""
        self.spans.remove(span)

    def unknown(self, span: Span) -> None:
        """Record that its outcome is unknown."""
        span.in_flight = False

    def settle(self, state: State, now: float) -> None:
        """Record which of the open states was read.

        One that no write of this layer made is the state before any of them.
        """
        ours = [each for each in self.spans if each.is_open and each.touched]
        if any(each.state == state for each in ours):
            others = [each for each in self.spans if each.state != state or not each.touched]
        else:
            others = ours
        self._end(others, now, "", CHANGE_SECONDS)

    @staticmethod
    def _end(spans: list[Span], now: float, by: str, allowance: float) -> None:
        for span in spans:
            if span.is_open and not span.in_flight:
                span.ended, span.ended_by, span.allowance = now, by, allowance


@dataclass(slots=True)
class Document:
    """The history of one document."""

    name: str
    number: int
    api: Layer = field(default_factory=lambda: Layer(Span(None, -math.inf, touched=False)))
    folder: Layer = field(default_factory=lambda: Layer(Span(None, -math.inf)))
    versions: dict[int, Version] = field(default_factory=dict)
    etag: str = ""
    """Of the current state, if known."""
    permanent: bool = False
    """True if nothing changes it; not every piece of it contains a marker."""

    def next_version(self, **size: int) -> Version:
        """A new version; `size` sets its numbers of sections and sentences."""
        version = make_version(self.number, len(self.versions) + 1)
        return self.add(replace(version, **size))

    def add(self, version: Version) -> Version:
        """Record a version."""
        self.versions[version.number] = version
        return version

    @property
    def open_states(self) -> set[State]:
        """The possible current states; one if no write is under way or unknown."""
        api = [span for span in self.api.spans if span.is_open]
        states = {span.state for span in api if span.touched}
        if not all(span.touched for span in api):
            states |= {span.state for span in self.folder.spans if span.is_open}
        return states

    @property
    def is_the_apis(self) -> bool:
        """True if the API, and no build, decides its current state."""
        return all(span.touched for span in self.api.spans if span.is_open)


class Model:
    """All documents, by name and by number."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.documents: dict[str, Document] = {}
        self.numbers: list[Document] = []
        self.permanent: list[tuple[Document, Version]] = []
        """Documents that never change; they are added first."""

    def add(self, name: str) -> Document:
        """Add a document unless it is known."""
        if name not in self.documents:
            self.documents[name] = Document(name, len(self.numbers))
            self.numbers.append(self.documents[name])
        return self.documents[name]

    def add_permanent(self, name: str, sections: int = 0) -> Version:
        """Add a permanent document; all of these come before any other."""
        document = self.add(name)
        document.permanent = True
        version = make_version(document.number, 1)
        version = document.add(replace(version, sections=sections or version.sections))
        document.folder = Layer(Span(version, -math.inf))
        self.permanent.append((document, version))
        return version

    def of(self, mark: Mark) -> Document | None:
        """The document of a marker; None if that was never written."""
        known = mark.document < len(self.numbers)
        document = self.numbers[mark.document] if known else None
        return document if document and mark.version in document.versions else None

    def possible(self, document: Document, begun: float, ended: float, worker: str) -> set[State]:
        """The states that a worker may show in a response.

        Args:
            document: Which document.
            begun: When the request was sent.
            ended: When the response was received.
            worker: The worker that responded.
        """
        api = self._seen(document.api, begun, ended, worker)
        states = {span.state for span in api if span.touched}
        if not all(span.touched for span in api):
            folder = self._seen(document.folder, begun, ended, worker)
            states |= {span.state for span in folder}
        return states

    def _seen(self, layer: Layer, begun: float, ended: float, worker: str) -> list[Span]:
        return [
            span
            for span in layer.spans
            if span.begun <= ended and self._last_seen(span, worker) >= begun
        ]

    def _last_seen(self, span: Span, worker: str) -> float:
        """The last moment at which a worker may show a replaced state."""
        if span.is_open or (worker and span.ended_by == worker):
            return span.ended
        return self.windows.calm_after(span.ended, span.allowance, (STORE, SWAP))

    def present(self) -> list[tuple[Document, Version]]:
        """The documents that certainly exist, permanent ones first."""
        return self.permanent + self.changing()

    def changing(self) -> list[tuple[Document, Version]]:
        """The documents that certainly exist and may change."""
        found = []
        for document in self.numbers[len(self.permanent) :]:
            match list(document.open_states):
                case [Version() as version]:
                    found.append((document, version))
        return found
