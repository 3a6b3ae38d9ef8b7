"""A lock between changes and checks of the whole index."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rest:
    """Like a read-write lock: actions run concurrently, a quiet phase runs alone."""

    _active: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _resting: bool = False

    @asynccontextmanager
    async def action(self) -> AsyncIterator[None]:
        """Change something; waits for the end of a quiet phase."""
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
        """Wait for all actions to end; blocks new ones during the block."""
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
