"""What should be found: of each document, the states that a reader may see at a moment.

A state may be seen from the moment in which its write was sent. It may no longer be seen once the
next write was acknowledged: by the worker that acknowledged it at once, by any other after
CHANGE_SECONDS. A write whose outcome nobody knows leaves both states open until a look settles it.
"""

import math
from dataclasses import dataclass, field, replace

from tests.endurance.checker.windows import STORE, SWAP, Windows
from tests.endurance.documents.pages import Mark, Version, make_version

CHANGE_SECONDS = 2.0
"""After so long a change by the API is seen in every replica."""
BUILD_SECONDS = 5.0
"""After so long an index that went live is open in every replica: it is noticed within two, and
opening it takes as long as reading it."""

State = Version | None
"""None: there is no such document."""


@dataclass(slots=True, eq=False)
class Span:
    """How long a state of a document may have been seen."""

    state: State
    begun: float
    touched: bool = True
    """False for the state before the API ever wrote the document: then the folder's counts."""
    in_flight: bool = False
    ended: float = math.inf
    ended_by: str = ""
    """The worker that acknowledged the write that replaced it."""
    allowance: float = CHANGE_SECONDS
    """Seconds for the other replicas to follow."""

    @property
    def is_open(self) -> bool:
        """Whether it may be the state of now."""
        return self.ended == math.inf


class Layer:
    """What one writer, the API or the builder, made of one document."""

    def __init__(self, first: Span) -> None:
        self.spans = [first]

    def begin(self, state: State, now: float) -> Span:
        """A write is being sent."""
        self.spans.append(Span(state, now, in_flight=True))
        return self.spans[-1]

    def done(self, span: Span, now: float, by: str = "", allowance: float = CHANGE_SECONDS) -> None:
        """It was acknowledged: what was before it ends."""
        span.in_flight = False
        self._end([each for each in self.spans if each is not span], now, by, allowance)

    def refused(self, span: Span) -> None:
        """It did not happen."""
        self.spans.remove(span)

    def unknown(self, span: Span) -> None:
        """It happened or did not."""
        span.in_flight = False

    def settle(self, state: State, now: float) -> None:
        """A look showed which of the open states it is.

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
    """All that is known of a name."""

    name: str
    number: int
    api: Layer = field(default_factory=lambda: Layer(Span(None, -math.inf, touched=False)))
    folder: Layer = field(default_factory=lambda: Layer(Span(None, -math.inf)))
    versions: dict[int, Version] = field(default_factory=dict)
    etag: str = ""
    """Of the state of now, where it is known."""
    permanent: bool = False
    """Whether nothing ever changes it; its pieces need not all say what they are of."""

    def next_version(self, **size: int) -> Version:
        """A new version; `size` sets its numbers of sections and sentences."""
        version = make_version(self.number, len(self.versions) + 1)
        return self.add(replace(version, **size))

    def add(self, version: Version) -> Version:
        """Note a version."""
        self.versions[version.number] = version
        return version

    @property
    def open_states(self) -> set[State]:
        """What it may be now; one state where nothing is under way or unknown."""
        api = [span for span in self.api.spans if span.is_open]
        states = {span.state for span in api if span.touched}
        if not all(span.touched for span in api):
            states |= {span.state for span in self.folder.spans if span.is_open}
        return states

    @property
    def is_the_apis(self) -> bool:
        """Whether the API alone decides what it is now, and builds no more."""
        return all(span.touched for span in self.api.spans if span.is_open)


class Model:
    """Every document there was, by name and by number."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.documents: dict[str, Document] = {}
        self.numbers: list[Document] = []
        self.permanent: list[tuple[Document, Version]] = []
        """Those that nothing ever changes; they are added first."""

    def add(self, name: str) -> Document:
        """Know a name; one known already stays as it is."""
        if name not in self.documents:
            self.documents[name] = Document(name, len(self.numbers))
            self.numbers.append(self.documents[name])
        return self.documents[name]

    def add_permanent(self, name: str, sections: int = 0) -> Version:
        """Know a document that is there throughout; all of these before any other."""
        document = self.add(name)
        document.permanent = True
        version = make_version(document.number, 1)
        version = document.add(replace(version, sections=sections or version.sections))
        document.folder = Layer(Span(version, -math.inf))
        self.permanent.append((document, version))
        return version

    def of(self, mark: Mark) -> Document | None:
        """The document that a made-up number belongs to; None where it was never written."""
        known = mark.document < len(self.numbers)
        document = self.numbers[mark.document] if known else None
        return document if document and mark.version in document.versions else None

    def possible(self, document: Document, begun: float, ended: float, worker: str) -> set[State]:
        """The states that a worker may show in a response.

        Args:
            document: Which document.
            begun: When the request was sent.
            ended: When the response was received.
            worker: Who answered.
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
        """Until when a worker may show a state that was replaced."""
        if span.is_open or (worker and span.ended_by == worker):
            return span.ended
        return self.windows.calm_after(span.ended, span.allowance, (STORE, SWAP))

    def present(self) -> list[tuple[Document, Version]]:
        """The documents that are there for certain, those that never change first."""
        return self.permanent + self.changing()

    def changing(self) -> list[tuple[Document, Version]]:
        """Those of the documents that are there for certain that may change."""
        found = []
        for document in self.numbers[len(self.permanent) :]:
            match list(document.open_states):
                case [Version() as version]:
                    found.append((document, version))
        return found
