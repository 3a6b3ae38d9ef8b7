"""Limits each client's rates: requests, calls of the language model, and their tokens.

By sliding-window counters: use = current + floor(previous * (1 - elapsed)), which is the current
fixed window and the share of the one before that the last period still covers, as if its use had
been even. Two counters suffice for any rate, and after a burst, capacity returns little by little.
Windows begin at multiples of their length in Unix time, so that replicas share them.
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
    """key:NAME or address:IP; the prefix of its counters."""
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
        covered = math.floor(self.previous * (1 - self.elapsed))
        return self.rate.amount - self.current - covered

    @property
    def seconds_left(self) -> float:
        """Until the current window ends."""
        return (1 - self.elapsed) * self.rate.seconds

    @property
    def seconds_until_one(self) -> float:
        """Until one more may be used, if nothing is used meanwhile."""
        free = self.rate.amount - self.current
        if free > 0:  # in this window, when previous * (1 - elapsed) < free
            share = free / self.previous if self.previous else 1.0
            return max(0.0, 1 - share - self.elapsed) * self.rate.seconds
        # In the next window, when current * (1 - elapsed) < amount.
        share = self.rate.amount / self.current
        return self.seconds_left + (1 - share) * self.rate.seconds


@dataclass(frozen=True, slots=True)
class RateDecision:
    """Whether a request or call is admitted, and its client's use of each rate."""

    uses: tuple[RateUse, ...]
    exhausted: tuple[RateUse, ...]
    """Those that refuse it; () if it is admitted."""

    @property
    def retry_after(self) -> int:
        """Seconds until it would be admitted."""
        return math.floor(max(use.seconds_until_one for use in self.exhausted)) + 1


class RateLimiter:
    """Counts what clients use, and refuses what exceeds their rates."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def admit(self, client: Client, kind: str, *others: str) -> RateDecision:
        """Count one of a kind, if it and the other kinds have some left; else nothing."""
        rates = [rate for each in (kind, *others) for rate in client.rates.get(each, ())]
        amounts = [int(rate.kind == kind) for rate in rates]
        uses = await self._add(client, rates, amounts)
        # Of the kind that was counted, 0 may remain; of the others, 1 must.
        exhausted = tuple(
            use
            for use, amount in zip(uses, amounts, strict=True)
            if use.remaining < (0 if amount else 1)
        )
        if exhausted:
            uses = await self._add(client, rates, [-amount for amount in amounts])
            exhausted = tuple(use for use in uses if use.remaining < 1) or exhausted
        return RateDecision(tuple(uses), exhausted)

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
            prefix, number = f"{client.name}:{rate.name}", int(window)
            changes.append(Change(f"{prefix}:{number}", amount, 2 * rate.seconds))
            changes.append(Change(f"{prefix}:{number - 1}", 0, rate.seconds))
        values = await self._counters.add(changes)
        return [
            RateUse(rate, values[2 * place], values[2 * place + 1], windows[place][1])
            for place, rate in enumerate(rates)
        ]
