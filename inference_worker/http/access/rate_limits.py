"""Limits the rates of each client; a client is a key or, without one, an address."""

import math
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference_worker.http.access.operations import Operation
from inference_worker.http.access.problems import RATE_LIMITED
from inference_worker.http.problems import problem_response
from inference_worker.http.server.connections import client_of
from inference_worker.keys.key import Identity
from inference_worker.limits.rate_limiter import (
    Client,
    RateDecision,
    RateLimiter,
    RateUse,
    current_client,
)
from utils.rates import parse_rates
from utils.settings import Settings

_KINDS = {"calls": "calls of the language model"}
"""Kinds of use that clients know by another name."""


class RateLimits:
    """Middleware that refuses requests beyond their client's rates.

    Responses state the limits and what remains, as in draft-ietf-httpapi-ratelimit-headers-10.

    Args:
        app: The app behind it.
        limiter: Counts the requests.
        settings: Has the limits.
        count_refusal: Counts a refused request.
    """

    def __init__(
        self,
        app: ASGIApp,
        limiter: RateLimiter,
        settings: Settings,
        count_refusal: Callable[[str], None],
    ) -> None:
        self._app = app
        self._limiter = limiter
        self._address_rates = parse_rates(settings.address_limits)
        self._key_rates = parse_rates(settings.key_limits)
        self._count_refusal = count_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        operation: Operation | None = scope.get("operation")
        if operation is None or operation.role is None:
            await self._app(scope, receive, send)
            return
        client = self._client(scope)
        current_client.set(client)
        others = ("calls", "tokens") if operation.calls_model else ()
        decision = await self._limiter.admit(client, "requests", *others)
        headers = _headers(decision)

        async def announced(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        if decision.exhausted:
            self._count_refusal(RATE_LIMITED.type)
            response = problem_response(
                Request(scope),
                RATE_LIMITED,
                _detail(decision),
                headers={"Retry-After": str(decision.retry_after)},
            )
            await response(scope, receive, announced)
        else:
            await self._app(scope, receive, announced)

    def _client(self, scope: Scope) -> Client:
        key: Identity | None = scope["key"]
        if key:
            return Client(f"key:{key.name}", {**self._key_rates, **key.rates})
        address = client_of(scope["client"][0]) if scope["client"] else ""
        return Client(f"address:{address}", self._address_rates)


def _headers(decision: RateDecision) -> list[tuple[bytes, bytes]]:
    if not decision.uses:
        return []
    policy = ", ".join(
        f'"{use.rate.name}";q={use.rate.amount};w={use.rate.seconds}' for use in decision.uses
    )
    left = ", ".join(
        f'"{use.rate.name}";r={max(0, use.remaining)};t={_reset_seconds(use)}'
        for use in decision.uses
    )
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode())]


def _reset_seconds(use: RateUse) -> int:
    """The `t` of a RateLimit header: until more may be used, rounded up."""
    return math.ceil(use.seconds_left if use.remaining > 0 else use.seconds_until_one)


def _detail(decision: RateDecision) -> str:
    rates = [use.rate for use in decision.exhausted]
    limits = " and ".join(
        f"{rate.amount:,} {_KINDS.get(rate.kind, rate.kind)} per {rate.period}" for rate in rates
    )
    return f"The limit is {limits}. {RATE_LIMITED.detail}"
