"""Limits each client's rates: requests, calls of the language model, and their tokens.

A rate is estimated over the period that ends now: what was used in the current window, and of the
one before the share that the period still covers, as if its use had been even. Two counters
suffice, whatever the rate; and what was used in a burst becomes free little by little, not all at
once where a window ends. Windows begin at multiples of their length on the system's clock, so that
replicas agree on them.
"""

import math
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from inference_worker.limits.counters import Change, Counters
from utils.rates import Rate, Rates


@dataclass(frozen=True, slots=True)
class Client:
    """Whose use is counted together, and its limits."""

    name: str
    """Of a key, or an address."""
    rates: Rates = field(hash=False)


NOBODY = Client("", {})
"""Without limits: what the service does by itself."""
current_client: ContextVar[Client] = ContextVar("client", default=NOBODY)
"""The client of the request in whose context this is read."""


@dataclass(frozen=True, slots=True)
class RateUse:
    """How much of a rate a client has used."""

    rate: Rate
    current: int
    """In the current window."""
    previous: int
    """In the one before."""
    elapsed: float
    """Share of the current window that has passed."""

    @property
    def remaining(self) -> int:
        """What may be used now; below 0 if more was used than is allowed."""
        return math.floor(self.rate.amount - self.current - self.previous * (1 - self.elapsed))

    @property
    def seconds(self) -> float:
        """Until the current window ends."""
        return (1 - self.elapsed) * self.rate.seconds

    @property
    def seconds_to_one(self) -> float:
        """Until one more may be used, if nothing is used meanwhile."""
        free = self.rate.amount - 1 - self.current
        if free >= 0:  # once the previous window counts for no more than this
            covered = free / self.previous if self.previous else 1.0
            return max(0.0, 1 - covered - self.elapsed) * self.rate.seconds
        covered = (self.rate.amount - 1) / self.current
        return self.seconds + (1 - covered) * self.rate.seconds


@dataclass(frozen=True, slots=True)
class Admittance:
    """Whether a client may go on, and its use."""

    uses: tuple[RateUse, ...]
    exhausted: tuple[RateUse, ...]
    """Of which nothing remains; () if the client may go on."""

    @property
    def retry_after(self) -> int:
        """Seconds until it may."""
        return max(1, math.ceil(max(use.seconds_to_one for use in self.exhausted)))


class RateLimiter:
    """Counts what clients use, and refuses what exceeds their rates."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def admit(self, client: Client, kind: str, *others: str) -> Admittance:
        """Count one of a kind, if it and the other kinds have some left; else nothing."""
        rates = [rate for each in (kind, *others) for rate in client.rates.get(each, ())]
        amounts = [int(rate.kind == kind) for rate in rates]
        uses = await self._add(client, rates, amounts)
        exhausted = tuple(
            use
            for use, amount in zip(uses, amounts, strict=True)
            if use.remaining < (0 if amount else 1)
        )
        if exhausted:
            uses = await self._add(client, rates, [-amount for amount in amounts])
            exhausted = tuple(use for use in uses if use.remaining < 1) or exhausted
        return Admittance(tuple(uses), exhausted)

    async def record(self, client: Client, kind: str, amount: int) -> None:
        """Count what was used, even if it exceeds a rate."""
        rates = client.rates.get(kind, ())
        await self._add(client, rates, [amount] * len(rates))

    async def _add(
        self, client: Client, rates: Sequence[Rate], amounts: Sequence[int]
    ) -> list[RateUse]:
        if not rates:
            return []
        now = time.time()
        windows = [divmod(now / rate.seconds, 1) for rate in rates]
        changes = []
        for rate, amount, (window, _) in zip(rates, amounts, windows, strict=True):
            key = f"{client.name}:{rate.name}:{{}}".format
            changes.append(Change(key(int(window)), amount, 2 * rate.seconds))
            changes.append(Change(key(int(window) - 1), 0, rate.seconds))
        values = await self._counters.add(changes)
        return [
            RateUse(rate, values[2 * place], values[2 * place + 1], windows[place][1])
            for place, rate in enumerate(rates)
        ]
