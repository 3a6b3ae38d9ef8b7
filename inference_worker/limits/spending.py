"""Admits calls of the language model, and counts their tokens: for each client, and in all."""

import logging
from datetime import UTC, datetime

from inference_worker.answer import TokenUsage
from inference_worker.limits.counters import Change, Counters
from inference_worker.limits.rate_limiter import RateLimiter, current_client

log = logging.getLogger(__name__)

_KEPT_SECONDS = 62 * 86_400
"""Longer than a month, so that its tokens are not forgotten while it lasts."""
CLIENT_EXHAUSTED = "this client has used up its calls of the language model for now"
BUDGET_SPENT = "the token budget of this month is spent"


class TokenBudget:
    """Tokens that all answers of a calendar month (UTC) may use together.

    Calls in progress are finished, so a little more may be used.
    """

    def __init__(self, monthly: int, counters: Counters) -> None:
        self.monthly = monthly
        self.spent = 0
        """In this month, when it was last looked up."""
        self._counters = counters
        self._month = self._logged = ""

    async def is_spent(self) -> bool:
        """Whether nothing is left."""
        await self.record(0)
        return self.spent >= self.monthly

    async def record(self, tokens: int) -> None:
        """Count tokens that were used."""
        month = f"{datetime.now(UTC):%Y-%m}"
        (counted,) = await self._counters.add([Change(f"tokens:{month}", tokens, _KEPT_SECONDS)])
        # What counts while Redis does not answer may know less.
        self.spent = max(counted, self.spent) if month == self._month else counted
        self._month = month
        if self.spent >= self.monthly and self._logged != month:
            self._logged = month
            log.warning(
                "The token budget of %s is spent (%s): answers are quoted until the month ends",
                month,
                f"{self.monthly:,}",
            )


class Spending:
    """What calls of the language model cost, and whether another may be made."""

    def __init__(self, limiter: RateLimiter, budget: TokenBudget | None) -> None:
        self._limiter = limiter
        self._budget = budget

    async def admit_call(self) -> str:
        """Count a call of the current client; return why it is refused, or "" if it is admitted."""
        if self._budget and await self._budget.is_spent():
            return BUDGET_SPENT
        decision = await self._limiter.admit(current_client.get(), "calls", "tokens")
        return CLIENT_EXHAUSTED if decision.exhausted else ""

    async def record(self, usage: TokenUsage) -> None:
        """Count the tokens of a call, as the provider reports them."""
        tokens = usage.input_tokens + usage.output_tokens
        await self._limiter.record(current_client.get(), "tokens", tokens)
        if self._budget:
            await self._budget.record(tokens)
