"""Creates the limits that the settings name."""

from dataclasses import dataclass

from inference_worker.limits.counters import Counters, FileCounters, MemoryCounters
from inference_worker.limits.rate_limiter import RateLimiter
from inference_worker.limits.redis_counters import RedisCounters
from inference_worker.limits.spending import Spending, TokenBudget
from utils.settings import Settings


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """The limits of a service, and their counters."""

    limiter: RateLimiter
    spending: Spending
    budget: TokenBudget | None
    counters: tuple[Counters, ...]

    async def aclose(self) -> None:
        """Release connections."""
        for counters in self.counters:
            await counters.aclose()


def usage_limits_from(settings: Settings) -> UsageLimits:
    """Create the limits.

    Raises:
        SettingsError: REDIS_URL is malformed, or TOKEN_BUDGET_FILE cannot be written.
    """
    counters = [_shared(MemoryCounters(), settings)]
    limiter = RateLimiter(counters[0])
    budget = None
    if settings.token_budget:
        counters.append(_shared(FileCounters(settings.token_budget_file), settings))
        budget = TokenBudget(settings.token_budget, counters[1])
    return UsageLimits(limiter, Spending(limiter, budget), budget, tuple(counters))


def _shared(own: Counters, settings: Settings) -> Counters:
    """Counters in Redis if the settings name one."""
    url = settings.redis_url
    return RedisCounters(url.get_secret_value(), own) if url else own
