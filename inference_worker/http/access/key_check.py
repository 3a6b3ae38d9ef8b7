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
from inference_worker.keys.sign_on import FETCH_SECONDS, SignOnUnavailableError, is_token
from inference_worker.logs.audit import audit
from inference_worker.logs.request_fields import add_log_fields

_SCHEME = "bearer "
_RETRY_SECONDS = {TOO_MANY_WRONG_KEYS: WINDOW_SECONDS, SIGN_ON_UNAVAILABLE: FETCH_SECONDS}


class KeyCheck:
    """Middleware that refuses requests without the key that they need.

    Sets `operation` of the scope, and `key`: None without a valid one. While reading is open, a key
    that is not valid counts as none: OpenAI's clients cannot send none.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys
        self._wrong_keys = WrongKeys()
        self._ignored_keys = WrongKeys()
        """Where none is needed: they block no key where one is."""

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
        if problem in _RETRY_SECONDS:
            headers["Retry-After"] = str(math.ceil(_RETRY_SECONDS[problem]))
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
        sign_on = self._keys.sign_on
        if sign_on and is_token(secret):  # nobody can guess one
            try:
                identity = await sign_on.identify(secret)
            except SignOnUnavailableError:
                return None if is_open else SIGN_ON_UNAVAILABLE
        else:
            attempts = self._ignored_keys if is_open else self._wrong_keys
            address, digest = _address(scope), digest_of(secret)
            if attempts.blocks(address, digest):
                return None if is_open else TOO_MANY_WRONG_KEYS
            identity = self._identify(secret)
            if identity:
                attempts.record_valid(address, digest)
            else:
                attempts.record_wrong(address)
        if identity is None:
            return None if is_open else KEY_INVALID
        scope["key"] = identity
        add_log_fields(key=identity.name)
        may = is_open or (identity.role and identity.role.includes(role))
        return None if may else ROLE_MISSING

    def _identify(self, secret: bytes) -> Identity | None:
        key = self._keys.find(secret)
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
