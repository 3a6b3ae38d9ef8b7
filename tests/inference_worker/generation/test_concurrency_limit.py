"""Concurrent calls are limited; a call that cannot start in time is refused immediately."""

import asyncio

import pytest

from inference_worker.generation.concurrency_limit import ConcurrencyLimit, QueueFullError


async def test_concurrent_calls_do_not_exceed_the_slots() -> None:
    slots = ConcurrencyLimit(2)
    most = 0

    async def call() -> None:
        nonlocal most
        async with slots.slot(patience=60):
            most = max(most, slots.in_use)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(call() for _ in range(7)))

    assert most == 2
    assert slots.in_use == 0


async def test_call_that_cannot_finish_in_time_is_refused() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        await asyncio.sleep(0.2)  # sets the expected duration of a call
    async with slots.slot(patience=60):
        with pytest.raises(QueueFullError):
            async with slots.slot(patience=0.3):  # 0.2 s of waiting and 0.2 s of its own exceed it
                pass


async def test_free_slot_is_acquired_whatever_the_patience() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        await asyncio.sleep(0.05)
    async with slots.slot(patience=0.001):
        assert slots.in_use == 1


async def test_expected_wait_includes_the_queue() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        await asyncio.sleep(0.1)

    async def call() -> None:
        async with slots.slot(patience=60):
            await asyncio.sleep(0.1)

    waiting = [asyncio.create_task(call()) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError):
        async with slots.slot(patience=0.3):
            pass
    await asyncio.gather(*waiting)


async def test_cancelled_wait_occupies_no_slot() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), slots.slot(patience=60):
                pass
    async with asyncio.timeout(1), slots.slot(patience=60):
        assert slots.in_use == 1
    assert slots.in_use == 0
