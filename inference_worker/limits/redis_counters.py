"""Counters in Redis, which any number of replicas share."""

import logging
import time
from collections.abc import Sequence

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from inference_worker.limits.counters import Change, Counters
from utils.errors import SettingsError

log = logging.getLogger(__name__)

_PREFIX = "docsqa:"
_PATIENCE = 0.25
"""Seconds within which Redis must answer."""
_MAX_CONNECTIONS = 64
"""Requests beyond wait for one of them, as long as for an answer."""
_PAUSE = 5.0
"""Seconds before Redis is tried again."""


class RedisCounters:
    """Counters in Redis; while it does not answer, those of this process.

    Args:
        url: redis://, rediss:// or unix://, with a password where one is needed.
        own: What counts while Redis does not answer.
    """

    def __init__(self, url: str, own: Counters) -> None:
        """Connects with the first request.

        Raises:
            SettingsError: the URL is malformed.
        """
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=_PATIENCE,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=Retry(NoBackoff(), 1),  # a connection that was idle may be closed
            )
        except ValueError:  # without its text, which may quote the password
            raise SettingsError(
                "REDIS_URL: is malformed; write redis://:PASSWORD@HOST:PORT, and special "
                "characters of the password as %2F and so on."
            ) from None
        self._redis = Redis.from_pool(pool)
        self._own = own
        self._paused_until = 0.0
        self._is_failing = False

    async def add(self, changes: Sequence[Change]) -> list[int]:
        """Change counters, in one request; return their values afterwards."""
        if time.monotonic() < self._paused_until:
            return await self._own.add(changes)
        pipeline = self._redis.pipeline(transaction=False)
        places = []
        for key, amount, seconds in changes:
            places.append(len(pipeline))
            if amount:
                pipeline.incrby(f"{_PREFIX}{key}", amount)
                pipeline.expire(f"{_PREFIX}{key}", seconds)
            else:
                pipeline.get(f"{_PREFIX}{key}")
        try:
            results = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            if not self._is_failing:
                log.warning(
                    "Redis does not answer (%s): each replica counts for itself until it does",
                    type(error).__name__,
                )
            self._is_failing = True
            self._paused_until = time.monotonic() + _PAUSE
            return await self._own.add(changes)
        if self._is_failing:
            log.info("Redis answers again")
        self._is_failing = False
        return [int(results[place] or 0) for place in places]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._own.aclose()
