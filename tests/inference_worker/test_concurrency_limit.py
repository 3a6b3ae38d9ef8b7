"""Concurrent calls are limited; a call that cannot start in time is refused immediately."""

import asyncio

import pytest

from inference_worker.concurrency_limit import ANNOUNCED_SECONDS, ConcurrencyLimit
from utils.errors import OverloadedError


async def call(slots: ConcurrencyLimit, seconds: float = 0.0, *, patience: float = 60) -> int:
    """Occupy a slot; returns how many calls were running."""
    async with slots.slot(patience):
        in_use = slots.in_use
        await asyncio.sleep(seconds)
    return in_use


async def test_concurrent_calls_do_not_exceed_the_slots() -> None:
    slots = ConcurrencyLimit(2)
    assert max(await asyncio.gather(*(call(slots, 0.01) for _ in range(7)))) == 2
    assert slots.in_use == 0


async def test_call_that_cannot_finish_in_time_is_refused() -> None:
    slots = ConcurrencyLimit(1)
    await call(slots, 0.2)  # sets the expected duration of a call
    async with slots.slot(patience=60):
        with pytest.raises(OverloadedError):
            await call(slots, patience=0.3)  # 0.2 s of waiting and 0.2 s of its own exceed it


async def test_free_slot_is_acquired_whatever_the_patience() -> None:
    slots = ConcurrencyLimit(1)
    await call(slots, 0.05)
    assert await call(slots, patience=0.001) == 1


async def test_expected_wait_includes_the_queue() -> None:
    slots = ConcurrencyLimit(1)
    await call(slots, 0.1)
    waiting = [asyncio.create_task(call(slots, 0.1)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError):
        await call(slots, patience=0.3)
    await asyncio.gather(*waiting)


async def test_cancelled_wait_occupies_no_slot() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await call(slots)
    async with asyncio.timeout(1):
        assert await call(slots) == 1
    assert slots.in_use == 0


async def test_slot_given_to_a_call_that_is_just_cancelled_goes_to_the_next() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot():
        cancelled, waiting = (asyncio.create_task(call(slots)) for _ in range(2))
        await asyncio.sleep(0)
    cancelled.cancel()  # it has the slot since the line above, but has not run
    async with asyncio.timeout(1):
        assert await waiting == 1
    assert cancelled.cancelled()
    assert slots.in_use == 0


async def test_call_that_continues_a_request_precedes_new_ones() -> None:
    slots = ConcurrencyLimit(1)
    order: list[str] = []

    async def named(name: str, *, continues: bool = False) -> None:
        async with slots.slot(continues=continues):
            order.append(name)

    async with asyncio.TaskGroup() as group, slots.slot():
        for number in range(2):
            group.create_task(named(f"new {number}"))
        await asyncio.sleep(0)
        group.create_task(named("continued", continues=True))
        await asyncio.sleep(0)
    assert order == ["continued", "new 0", "new 1"]


async def test_expected_wait_includes_what_continues_the_requests_that_wait() -> None:
    slots = ConcurrencyLimit(1)
    for _ in range(2):
        await call(slots, 0.01)
        async with slots.slot(continues=True):
            await asyncio.sleep(0.2)
    await call(slots, 0.01)
    async with slots.slot():
        assert slots.expected_seconds > 2 * 0.02


async def test_announced_calls_count_as_if_they_waited() -> None:
    slots = ConcurrencyLimit(2, mean_seconds=1.0)
    with slots.announced(), slots.announced():  # for these, slots are free
        assert slots.expected_seconds == 1.5
        with slots.announced():
            assert slots.expected_seconds == 2.0
            async with slots.slot():
                assert slots.expected_seconds == 2.0  # it was one of the three
            async with slots.slot(patience=0.0), slots.slot(patience=0.0):
                assert slots.in_use == 2  # announced calls take no slot
    assert slots.expected_seconds == 0.0


async def test_announced_call_that_is_not_made_counts_for_a_moment_only() -> None:
    slots = ConcurrencyLimit(1, mean_seconds=1.0)
    with slots.announced():
        assert slots.expected_seconds == 2.0
        await asyncio.sleep(2 * ANNOUNCED_SECONDS)
        assert slots.expected_seconds == 0.0


async def test_burst_of_continued_requests_hardly_changes_the_expected_wait() -> None:
    slots = ConcurrencyLimit(1)
    for _ in range(20):
        await call(slots, 0.001)
        async with slots.slot(continues=True):
            await asyncio.sleep(0.01)
    async with slots.slot():
        before = slots.expected_seconds
    for _ in range(32):
        async with slots.slot(continues=True):
            await asyncio.sleep(0.01)
    async with slots.slot():
        assert slots.expected_seconds < 5 * before
