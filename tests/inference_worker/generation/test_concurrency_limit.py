"""Calls at once are bounded; who would wait in vain is told so at once."""

import asyncio

import pytest

from inference_worker.generation.concurrency_limit import ConcurrencyLimit, QueueFullError


async def test_no_more_calls_run_than_there_are_slots() -> None:
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


async def test_who_cannot_be_served_in_time_is_refused_at_once() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        await asyncio.sleep(0.2)  # so long do calls take
    async with slots.slot(patience=60):
        with pytest.raises(QueueFullError):
            async with slots.slot(patience=0.3):  # 0.2 to wait and 0.2 of its own
                pass


async def test_a_free_slot_refuses_nobody() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        await asyncio.sleep(0.05)
    async with slots.slot(patience=0.001):
        assert slots.in_use == 1


async def test_those_who_wait_before_count() -> None:
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


async def test_who_gives_up_waiting_takes_no_slot() -> None:
    slots = ConcurrencyLimit(1)
    async with slots.slot(patience=60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), slots.slot(patience=60):
                pass
    async with asyncio.timeout(1), slots.slot(patience=60):
        assert slots.in_use == 1
    assert slots.in_use == 0
