"""Answers are kept, shared while they are made, and given up when nobody listens."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from database.searching.confidence import ConfidenceFeatures
from database.searching.passage import Findings
from inference_worker.answer import Answer, Event, Grounding, PassagesFound, Token, TokenUsage
from inference_worker.answering.cache import AnswerCache, merge_tokens, normalize_question

FOUND = PassagesFound(Findings([], 0.9, True, ConfidenceFeatures(0, 0, 0)))
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
    truncated=False,
    cached=False,
    corpus=None,
    timings={"total": 5.0},
)


class Flow:
    """Makes an answer when it is let, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self.go = asyncio.Event()
        self._error = error

    async def __call__(self) -> AsyncGenerator[Event, None]:
        self.begun += 1
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


async def test_an_answer_is_kept_and_given_again_in_one_piece() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    flow.go.set()
    first, again = await all_of(ask(cache, flow)), await all_of(ask(cache, flow))

    assert flow.begun == 1
    assert answer_of(first) is ANSWER
    assert again[:2] == [FOUND, Token("one two")]
    assert answer_of(again).cached
    assert answer_of(again).usage is None


@pytest.mark.parametrize("size", [0, 10])
async def test_nothing_is_kept_where_that_is_not_wanted(size: int) -> None:
    cache, flow = AnswerCache(size, 60), Flow()
    flow.go.set()
    for _ in range(2):
        assert not answer_of(await all_of(ask(cache, flow, keep=not size))).cached

    assert flow.begun == 2


async def test_answers_are_kept_for_a_time_and_up_to_a_number() -> None:
    cache, flow = AnswerCache(2, 0.2), Flow()
    flow.go.set()
    for key in ("a", "b", "c"):
        await all_of(ask(cache, flow, key))
    assert answer_of(await all_of(ask(cache, flow, "c"))).cached
    assert not answer_of(await all_of(ask(cache, flow, "a"))).cached

    await asyncio.sleep(0.25)
    assert not answer_of(await all_of(ask(cache, flow, "c"))).cached


async def test_who_joins_hears_all_from_the_first_event_on() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    early = ask(cache, flow)
    assert [await anext(early), await anext(early)] == [FOUND, Token("one ")]
    late = asyncio.create_task(all_of(ask(cache, flow)))
    await asyncio.sleep(0)
    flow.go.set()

    assert [event async for event in early] == [Token("two"), ANSWER]
    assert await late == [FOUND, Token("one "), Token("two"), ANSWER]
    assert (flow.begun, flow.ended, cache.in_progress) == (1, 1, 0)


async def test_other_questions_and_other_ways_are_flows_of_their_own() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    asked = [
        asyncio.create_task(all_of(ask(cache, flow, key, whole=whole)))
        for key, whole in (("a", True), ("a", False), ("b", False))
    ]
    await asyncio.sleep(0.01)
    assert (flow.begun, cache.in_progress) == (3, 3)
    flow.go.set()
    await asyncio.gather(*asked)


async def test_it_goes_on_while_somebody_listens_and_ends_with_the_last() -> None:
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


async def test_who_asks_after_the_last_has_left_starts_anew() -> None:
    cache, flow = AnswerCache(10, 60), Flow()
    gone = ask(cache, flow)
    await anext(gone)
    await gone.aclose()
    flow.go.set()

    assert answer_of(await all_of(ask(cache, flow))) is ANSWER
    assert flow.begun == 2


async def test_a_failure_reaches_all_and_is_forgotten() -> None:
    cache, flow = AnswerCache(10, 60), Flow(ValueError("no"))
    asked = [asyncio.create_task(all_of(ask(cache, flow))) for _ in range(3)]
    await asyncio.sleep(0)
    flow.go.set()
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert flow.begun == 1
    assert cache.in_progress == 0
    good = Flow()
    good.go.set()
    assert not answer_of(await all_of(ask(cache, good))).cached


def test_pieces_that_follow_one_another_are_put_together() -> None:
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
def test_spaces_and_forms_of_a_character_make_no_other_question(
    one: str, other: str, equal: bool
) -> None:
    assert (normalize_question(one) == normalize_question(other)) is equal
