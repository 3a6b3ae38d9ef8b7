"""Checks the key of each request against the table of operations, before its body is read."""

import math
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from inference_worker.http.access.operations import Operation, operation_of
from inference_worker.http.access.problems import (
    CHANGES_OFF,
    KEY_INVALID,
    KEY_MISSING,
    ROLE_MISSING,
    SIGN_ON_UNAVAILABLE,
    TOO_MANY_WRONG_KEYS,
)
from inference_worker.http.access.wrong_keys import WINDOW_SECONDS, WrongKeys
from inference_worker.http.problems import Problem, problem_response
from inference_worker.keys.key import Identity, Role, digest_of
from inference_worker.keys.key_ring import KeyRing
from inference_worker.keys.sign_on import SignOnUnavailableError, is_token
from inference_worker.logs.audit import audit
from inference_worker.logs.request_fields import add_log_fields

_SCHEME = "bearer "


class KeyCheck:
    """Middleware that refuses requests without the key that they need.

    Sets `operation` of the scope, and `key`: None without a valid one. While reading is open, a key
    that is not valid counts as none: OpenAI's clients cannot send none.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys
        self._wrong_keys = WrongKeys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope["operation"], scope["key"] = None, None
        problem = None
        if scope["type"] == "http":
            problem = await self._refusal(scope)
        if problem is None:
            await self._app(scope, receive, send)
            return
        if problem in (KEY_INVALID, ROLE_MISSING):
            operation: Operation = scope["operation"]
            audit("key refused", reason=problem.type, method=operation.method, path=operation.path)
        headers = {}
        if problem.status == 401:
            error = ' error="invalid_token"' if problem is KEY_INVALID else ""
            headers["WWW-Authenticate"] = f"Bearer{error}"
        if problem is TOO_MANY_WRONG_KEYS:
            headers["Retry-After"] = str(math.ceil(WINDOW_SECONDS))
        if problem is SIGN_ON_UNAVAILABLE:
            headers["Retry-After"] = "10"
        await problem_response(Request(scope), problem, headers=headers)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Problem | None:
        operation = scope["operation"] = operation_of(scope, scope["app"].routes)
        if operation is None or operation.role is None:
            return None
        role = operation.role
        if role is not Role.READ and not self._keys.allows(Role.WRITE):
            return CHANGES_OFF
        is_open = role is Role.READ and self._keys.reading_is_open
        secret = _secret_in(scope)
        if not secret:
            return None if is_open else KEY_MISSING
        address, digest = _address(scope), digest_of(secret)
        is_blocked = self._wrong_keys.blocks(address, digest)
        try:
            identity = await self._identify(secret, is_blocked)
        except SignOnUnavailableError:
            return SIGN_ON_UNAVAILABLE
        if identity:
            self._wrong_keys.record_valid(address, digest)
            scope["key"] = identity
            add_log_fields(key=identity.name)
            may = identity.role and identity.role.includes(role)
            return None if may or is_open else ROLE_MISSING
        if is_open:
            return None
        if is_blocked:
            return TOO_MANY_WRONG_KEYS
        self._wrong_keys.record_wrong(address)
        return KEY_INVALID

    async def _identify(self, secret: bytes, is_blocked: bool) -> Identity | None:
        """Who sends a key or token; None if it is not valid, or its address is blocked."""
        if self._keys.sign_on and is_token(secret):  # nobody can guess one
            return await self._keys.sign_on.identify(secret)
        key = None if is_blocked else self._keys.find(secret)
        return key.identity if key and key.state(datetime.now(UTC)) == "valid" else None


def _address(scope: Scope) -> str:
    client = scope["client"]
    return str(client[0]) if client else ""


def _secret_in(scope: Scope) -> bytes:
    """The key that a request sends; b"" if it sends none, or more than one."""
    given = Headers(scope=scope).getlist("authorization")
    if len(given) != 1 or not given[0].lower().startswith(_SCHEME):
        return b""
    return given[0][len(_SCHEME) :].strip().encode("latin-1")
