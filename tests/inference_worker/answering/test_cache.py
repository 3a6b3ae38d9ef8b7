"""Answers are cached, shared while in progress, and cancelled with the last subscriber."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from database.searching.confidence import ConfidenceFeatures
from database.searching.passage import Findings
from inference_worker.answer import Answer, Event, Grounding, PassagesFound, Token, TokenUsage
from inference_worker.answering.cache import AnswerCache, merge_tokens, normalize_question

FOUND = PassagesFound(Findings([], 0.9, True, ConfidenceFeatures(0, 0, 0, 0)), ())
ANSWER = Answer(
    text="one two",
    docs=[],
    passages=[],
    grounding=Grounding(),
    generator="model",
    degraded_reason=None,
    answerable=True,
    confidence=0.9,
    usage=TokenUsage(1, 2),
    finish_reason="stop",
    coverage="full",
    searches=(),
    has_failed_search=False,
    cached=False,
    corpus=None,
    timings={"total": 5.0},
)


class Flow:
    """Produces an answer after `go` is set; counts starts and ends."""

    def __init__(self, error: Exception | None = None, *, go: bool = False) -> None:
        self.started = 0
        self.ended = 0
        self.go = asyncio.Event()
        self._error = error
        if go:
            self.go.set()

    async def __call__(self) -> AsyncGenerator[Event, None]:
        self.started += 1
        try:
            yield FOUND
            yield Token("one ")
            await self.go.wait()
            if self._error:
                raise self._error
            yield Token("two")
            yield ANSWER
        finally:
            self.ended += 1


def ask(
    cache: AnswerCache, flow: Flow, key: str = "question", *, keep: bool = True, whole: bool = False
) -> AsyncGenerator[Event, None]:
    return cache.events(key, flow, is_cacheable=lambda answer: keep, whole=whole)


async def all_of(events: AsyncGenerator[Event, None]) -> list[Event]:
    async with aclosing(events):
        return [event async for event in events]


def answer_of(events: list[Event]) -> Answer:
    assert isinstance(events[-1], Answer)
    return events[-1]


async def test_cached_answer_has_a_single_token_event() -> None:
    cache, flow = AnswerCache(10, 60), Flow(go=True)
    first, again = await all_of(ask(cache, flow)), await all_of(ask(cache, flow))

    assert flow.started == 1
    assert answer_of(first) is ANSWER
    assert again[:2] == [FOUND, Token("one two")]
    assert answer_of(again).cached
    assert answer_of(again).usage is None


@pytest.mark.parametrize("size", [0, 10])
async def test_uncacheable_answers_and_size_zero_are_not_cached(size: int) -> None:
    cache, flow = AnswerCache(size, 60), Flow(go=True)
    for _ in range(2):
        assert not answer_of(await all_of(ask(cache, flow, keep=not size))).cached

    assert flow.started == 2


async def test_cached_answers_expire_and_are_limited_in_number() -> None:
    cache, flow = AnswerCache(2, 0.2), Flow(go=True)
    for key in ("a", "b", "c"):
        await all_of(ask(cache, flow, key))
    assert answer_of(await all_of(ask(cache, flow, "c"))).cached
    assert not answer_of(await all_of(ask(cache, flow, "a"))).cached

    await asyncio.sleep(0.25)
    assert not answer_of(await all_of(ask(cache, flow, "c"))).cached


async def test_late_subscriber_receives_all_events() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    early = ask(cache, flow)
    assert [await anext(early), await anext(early)] == [FOUND, Token("one ")]
    late = asyncio.create_task(all_of(ask(cache, flow)))
    await asyncio.sleep(0)
    flow.go.set()

    assert [event async for event in early] == [Token("two"), ANSWER]
    assert await late == [FOUND, Token("one "), Token("two"), ANSWER]
    assert (flow.started, flow.ended, cache.in_progress) == (1, 1, 0)


async def test_other_keys_and_modes_start_their_own_flow() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    subscribers = [
        asyncio.create_task(all_of(ask(cache, flow, key, whole=whole)))
        for key, whole in (("a", True), ("a", False), ("b", False))
    ]
    await asyncio.sleep(0.01)
    assert (flow.started, cache.in_progress) == (3, 3)
    flow.go.set()
    await asyncio.gather(*subscribers)


async def test_flow_is_cancelled_when_the_last_subscriber_disconnects() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    one, other = ask(cache, flow), ask(cache, flow)
    await anext(one)
    await anext(other)

    await one.aclose()
    await asyncio.sleep(0.01)
    assert flow.ended == 0
    await other.aclose()
    assert cache.in_progress == 0
    await asyncio.sleep(0.01)
    assert flow.ended == 1


async def test_question_after_cancellation_starts_a_new_flow() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    cancelled = ask(cache, flow)
    await anext(cancelled)
    await cancelled.aclose()
    flow.go.set()

    assert answer_of(await all_of(ask(cache, flow))) is ANSWER
    assert flow.started == 2


async def test_failure_reaches_all_subscribers_and_is_not_cached() -> None:
    cache, flow = AnswerCache(10, 60), Flow(ValueError("no"))
    subscribers = [asyncio.create_task(all_of(ask(cache, flow))) for _ in range(3)]
    await asyncio.sleep(0)
    flow.go.set()
    outcomes = await asyncio.gather(*subscribers, return_exceptions=True)

    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert flow.started == 1
    assert cache.in_progress == 0
    assert not answer_of(await all_of(ask(cache, Flow(go=True)))).cached


def test_consecutive_tokens_are_merged() -> None:
    events: list[Event] = [FOUND, Token("a"), Token("b"), ANSWER]
    assert list(merge_tokens(events)) == [FOUND, Token("ab"), ANSWER]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("What is a batch?", "  What   is a batch?\n", True),
        ("ﬁle", "file", True),
        ("What is a batch?", "What is a batch", False),
        ("What is KmsKeyId?", "What is KMSKEYID?", False),
        ("Gr\u00fcn", "Gru\u0308n", True),
    ],
)
def test_normalization_ignores_whitespace_and_unicode_forms(
    one: str, other: str, equal: bool
) -> None:
    assert (normalize_question(one) == normalize_question(other)) is equal
