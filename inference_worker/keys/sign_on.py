"""A company's sign-on: verifies the tokens of an OpenID Connect issuer.

The issuer's address leads to its public keys (OpenID Connect Discovery 1.0), with which PyJWT
checks signature, issuer, audience and time.
"""

import asyncio
import logging
import time
from typing import Any

import httpx
import jwt

from inference_worker.keys.key import Identity, Role
from utils.settings import Settings

log = logging.getLogger(__name__)

_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""Signatures with a private key, which the issuer alone has; neither shared secrets nor "none"."""
_LEEWAY = 30
"""Seconds by which the clocks may differ."""
_KEYS_SECONDS = 600.0
"""How long the issuer's keys are used before they are fetched again."""
FETCH_SECONDS = 10.0
"""Seconds between two fetches, whatever tokens arrive: anyone can invent the id of a key."""
_TIMEOUT = 5.0
_MAX_BYTES = 1_000_000
_MALFORMED = (ValueError, LookupError, TypeError, AttributeError)
"""Raised by responses of another form."""


class SignOnUnavailableError(Exception):
    """The issuer's keys cannot be fetched."""


class SignOn:
    """Identifies the bearers of an issuer's tokens.

    Args:
        issuer: Its address, as tokens name it.
        settings: Has the audience, and the claim that contains the role.
    """

    def __init__(self, issuer: str, settings: Settings) -> None:
        self._issuer = issuer
        self._audience = settings.oidc_audience
        self._role_claim = settings.oidc_role_claim
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._problem = "its keys were not fetched yet"
        self._fetching: asyncio.Task[None] | None = None

    async def identify(self, token: bytes) -> Identity | None:
        """The bearer of a token; None if the token is not valid.

        Raises:
            SignOnUnavailableError: the issuer's keys cannot be fetched.
        """
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            if key is None or key.algorithm_name not in _ALGORITHMS:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError:
            return None
        return Identity(f"oidc:{claims['sub']}", _highest_role(claims, self._role_claim))

    async def check(self) -> None:
        """Fetch the issuer's keys.

        Raises:
            SignOnUnavailableError: they cannot be fetched.
        """
        await self._fetch()
        if not self._keys:
            raise SignOnUnavailableError(self._problem)

    async def _key(self, id_: str | None) -> jwt.PyJWK | None:
        """The issuer's key with this id; a known one at once, even if all are to be fetched again.

        Raises:
            SignOnUnavailableError: none was ever fetched.
        """
        is_old = time.monotonic() - self._fetched_at > _KEYS_SECONDS
        if is_old or id_ not in self._keys:
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.create_task(self._fetch())
            if id_ not in self._keys:
                await asyncio.shield(self._fetching)  # others wait for it too
        if not self._keys:
            raise SignOnUnavailableError(self._problem)
        return self._keys.get(id_)

    async def _fetch(self) -> None:
        """Fetch the issuer's keys, not too often; if that fails, those fetched before stay."""
        if time.monotonic() - self._tried_at < FETCH_SECONDS:
            return
        self._tried_at = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False) as http:
                discovery = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
                described = await _json(http, discovery)
                if described["issuer"] != self._issuer:
                    raise ValueError(f"it names itself {described['issuer']!r}")
                fetched = await _json(http, described["jwks_uri"])
            keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(fetched).keys}
        except (httpx.HTTPError, httpx.InvalidURL, jwt.PyJWTError, *_MALFORMED) as error:
            self._problem = f"its keys cannot be fetched: {type(error).__name__}: {error}"
            log.warning("OIDC_ISSUER: %s", self._problem)
            return
        self._keys, self._fetched_at = keys, time.monotonic()


async def _json(http: httpx.AsyncClient, url: str) -> Any:
    async with http.stream("GET", url) as response:
        response.raise_for_status()
        body = b""
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MAX_BYTES:
                raise ValueError(f"{url} is larger than {_MAX_BYTES:,} bytes")
    return httpx.Response(200, content=body).json()


def is_token(secret: bytes) -> bool:
    """Whether this has the form of a signed token (RFC 7519), which no generated key has."""
    return secret.startswith(b"ey") and secret.count(b".") == 2


def _highest_role(claims: dict[str, Any], path: str) -> Role | None:
    """The highest role of a claim, which may be within another ("realm_access.roles")."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
    names = found.split() if isinstance(found, str) else found
    named = [role for role in Role if isinstance(names, list) and role.value in names]
    return named[-1] if named else None
