"""Caches the language model's answers, and shares one in progress between equal questions."""

import asyncio
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from itertools import groupby

from cachetools import TTLCache

from inference_worker.answer import Answer, Event, Events, PassagesFound, Token

PAUSE = 0.04
"""Seconds to gather tokens before the next is sent: sending one costs as much as receiving it, and
nobody reads faster."""


def compatibility_form(text: str) -> str:
    """Normalize to NFKC.

    The text that is searched and prompted must be the same as the cache key's: otherwise a question
    could get the answer to another that only looks like it.
    """
    return unicodedata.normalize("NFKC", text)


def normalize_question(question: str) -> str:
    """Map equal questions to one key: white space is ignored; case matters in names."""
    return " ".join(compatibility_form(question).split())


class AnswerCache:
    """Replays a cached answer, joins one in progress, or starts the flow; size 0 turns both off."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._answers: TTLCache[Hashable, tuple[PassagesFound, Answer]] = TTLCache(
            max(size, 1), seconds
        )
        self._shared: dict[tuple[Hashable, bool], _SharedAnswer] = {}

    @property
    def in_progress(self) -> int:
        """How many answers are being written."""
        return len(self._shared)

    def invalidate(self, is_outdated: Callable[[PassagesFound], bool]) -> int:
        """Remove the answers written from outdated passages; return how many remain."""
        for key in [key for key, (found, _) in self._answers.items() if is_outdated(found)]:
            self._answers.pop(key, None)
        return sum(is_outdated(found) for found, _ in self._answers.values())

    async def events(
        self,
        key: Hashable,
        run: Callable[[], Events],
        *,
        is_cacheable: Callable[[Answer], bool],
        whole: bool,
    ) -> Events:
        """The events of the answer with this key, which is everything that determines it.

        `whole` if `run` writes the text in one piece; a flow in pieces is joined as well.
        """
        key = key if self._size else object()
        if cached := self._answers.get(key):
            found, answer = cached
            yield found
            yield Token(answer.text)
            yield replace(answer, cached=True, usage=None, timings={"total": 0.0})
            return
        # A flow in pieces serves those who want the text whole, not the other way round.
        place = (key, whole and (key, False) not in self._shared)
        if place not in self._shared:
            self._shared[place] = _SharedAnswer(run(), partial(self._ended, place, is_cacheable))
        async with aclosing(self._shared[place].subscribe()) as events:
            async for event in events:
                yield event

    def _ended(
        self,
        place: tuple[Hashable, bool],
        is_cacheable: Callable[[Answer], bool],
        shared: "_SharedAnswer",
    ) -> None:
        """Remove a flow that ended or lost its last subscriber; cache its answer."""
        if self._shared.get(place) is shared:
            del self._shared[place]
        match shared.events:
            case [*events, Answer() as answer] if self._size and is_cacheable(answer):
                found = [event for event in events if isinstance(event, PassagesFound)][-1]
                self._answers[place[0]] = found, answer


class _SharedAnswer:
    """A flow in progress and its subscribers; cancelled when the last of them disconnects."""

    def __init__(self, events: Events, on_end: "Callable[[_SharedAnswer], None]") -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()
        self._subscribers = 0
        self._on_end = on_end
        self._task = asyncio.create_task(self._run(events))

    async def _run(self, events: Events) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    self.events.append(event)
                    self._changed.set()
        finally:
            self._on_end(self)
            self._changed.set()

    async def subscribe(self) -> Events:
        """All events from the first; tokens that arrived meanwhile are merged."""
        self._subscribers += 1
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
                    self._task.result()  # raises the flow's exception
                    return
                else:
                    if self._changed.is_set():
                        self._changed = asyncio.Event()
                    await self._changed.wait()
        finally:
            self._subscribers -= 1
            if not self._subscribers and not self._task.done():
                self._task.cancel()
                self._on_end(self)


def merge_tokens(events: Iterable[Event]) -> Iterator[Event]:
    """Merge consecutive tokens into one."""
    for is_text, group in groupby(events, lambda event: isinstance(event, Token)):
        if is_text:
            yield Token("".join(piece.text for piece in group if isinstance(piece, Token)))
        else:
            yield from group
