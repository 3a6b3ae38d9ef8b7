"""Answers of the language model, kept for equal questions and shared while they are written."""

import asyncio
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from cachetools import TTLCache

from inference_worker.answer import Answer, Event, Events, PassagesFound, Token

PAUSE = 0.04
"""Seconds after a piece of text in which those that follow are gathered: sending costs as much as
receiving, and nobody reads faster."""


def compatibility_form(text: str) -> str:
    """Write characters in Unicode's compatible form.

    What is searched for and written from must be in it as well as the key, or one question would be
    given the answer of another that only looks like it.
    """
    return unicodedata.normalize("NFKC", text)


def normalize_question(question: str) -> str:
    """Write equal questions alike: spaces do not count. Case does: names are told apart by it."""
    return " ".join(compatibility_form(question).split())


@dataclass(frozen=True, slots=True)
class _Kept:
    found: PassagesFound
    answer: Answer


class AnswerCache:
    """Gives the events of an answer: from an earlier one, from one under way, or made anew.

    Args:
        size: Answers kept; with 0, none are, and none is shared.
        seconds: How long each is kept.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._kept: TTLCache[Hashable, _Kept] = TTLCache(max(size, 1), seconds)
        self._flights: dict[tuple[Hashable, bool], _Flight] = {}

    @property
    def under_way(self) -> int:
        """Answers being made at present."""
        return len(self._flights)

    def forget(self, outdated: Callable[[Answer], bool]) -> int:
        """Drop the answers that are outdated; how many are left that are."""
        for key in [key for key, kept in self._kept.items() if outdated(kept.answer)]:
            self._kept.pop(key, None)
        return sum(outdated(kept.answer) for kept in self._kept.values())

    async def events(
        self,
        key: Hashable,
        make: Callable[[], Events],
        *,
        keep: Callable[[Answer], bool],
        whole: bool,
    ) -> Events:
        """Give the events of the answer with this key.

        Args:
            key: All that decides the answer.
            make: Starts the flow that makes it.
            keep: Whether an answer is worth keeping.
            whole: Whether the flow makes it in one piece; one under way in pieces serves too.
        """
        key = key if self._size else object()
        if kept := self._kept.get(key):
            yield kept.found
            yield Token(kept.answer.text)
            yield replace(kept.answer, cached=True, usage=None, timings={"total": 0.0})
            return
        async with aclosing(self._flight(key, make, keep, whole).listen()) as heard:
            async for event in heard:
                yield event

    def _flight(
        self,
        key: Hashable,
        make: Callable[[], Events],
        keep: Callable[[Answer], bool],
        whole: bool,
    ) -> "_Flight":
        # Who wants it whole may listen to one that is made in pieces, not the other way.
        place = (key, whole and (key, False) not in self._flights)
        if place not in self._flights:
            self._flights[place] = _Flight(make(), partial(self._landed, place, keep))
        return self._flights[place]

    def _landed(
        self, place: tuple[Hashable, bool], keep: Callable[[Answer], bool], flight: "_Flight"
    ) -> None:
        """Forget a flight that ended or lost its last listener; keep what it brought."""
        if self._flights.get(place) is flight:
            del self._flights[place]
        match flight.events:
            case [PassagesFound() as found, *_, Answer() as answer] if self._size and keep(answer):
                self._kept[place[0]] = _Kept(found, answer)


class _Flight:
    """An answer under way, for all who asked for it; ends when the last of them has left."""

    def __init__(self, events: Events, on_end: "Callable[[_Flight], None]") -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._listeners = 0
        self._on_end = on_end
        self._task = asyncio.create_task(self._run(events))

    async def _run(self, events: Events) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self.events.append(event)
                    self._news.set()
        finally:
            self._on_end(self)
            self._news.set()

    async def listen(self) -> Events:
        """Hear all events from the first on; pieces that came meanwhile are one."""
        self._listeners += 1
        at = 0
        try:
            while True:
                if at < len(self.events):
                    fresh, at = self.events[at:], len(self.events)
                    for event in merge_tokens(fresh):
                        yield event
                    if isinstance(fresh[-1], Token):
                        await asyncio.wait({self._task}, timeout=PAUSE)
                elif self._task.done():
                    self._task.result()  # raises what the flow raised
                    return
                else:
                    if self._news.is_set():
                        self._news = asyncio.Event()
                    await self._news.wait()
        finally:
            self._listeners -= 1
            if not self._listeners and not self._task.done():
                self._task.cancel()
                self._on_end(self)


def merge_tokens(events: Iterable[Event]) -> Iterator[Event]:
    """Put pieces that follow one another together."""
    for is_text, group in groupby(events, lambda event: isinstance(event, Token)):
        if is_text:
            yield Token("".join(piece.text for piece in group if isinstance(piece, Token)))
        else:
            yield from group
