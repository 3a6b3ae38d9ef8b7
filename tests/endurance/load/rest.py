"""Lets everything that changes something come to rest, so that the whole can be looked at."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rest:
    """Actions go on side by side until one asks for rest: it waits for them, and they for it."""

    _active: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _resting: bool = False

    @asynccontextmanager
    async def action(self) -> AsyncIterator[None]:
        """Do something that changes what is found; begins when nobody rests."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._resting)
            self._active += 1
        try:
            yield
        finally:
            async with self._changed:
                self._active -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Wait for the end of all actions; none begins until this ends."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._resting)
            self._resting = True
            await self._changed.wait_for(lambda: not self._active)
        try:
            yield
        finally:
            async with self._changed:
                self._resting = False
                self._changed.notify_all()
