"""Rejects requests that web pages of others make a browser send.

DNS rebinding: a page's own host name resolves to this service, so that the page may read the
responses. The Host header then has a name that its owner could register, which this service serves
only if ALLOWED_HOSTS lists it.

Cross-site requests: a page sends a POST without reading the response, for example to spend a
language model's credit. Browsers mark these with Sec-Fetch-Site and Origin, checked as in Go's
net/http.CrossOriginProtection. Clients other than browsers send neither.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from inference_worker.http.problems import BAD_REQUEST, Problem, problem_response

HOST_NOT_ALLOWED = Problem(
    "host-not-allowed",
    421,
    "This service does not serve that host name",
    "Use an IP address or a name of the local network, or have the operator add the host name to "
    "ALLOWED_HOSTS.",
)
ORIGIN_NOT_ALLOWED = Problem(
    "origin-not-allowed",
    403,
    "Pages of that origin may not call this service",
    "The operator must add the page's origin (https://chat.example.com) to ALLOWED_HOSTS.",
)
_HOST = re.compile(
    r"(?P<name>[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:.]+(?:%[\w.-]+)?\])\.?(?::\d{0,5})?",
    re.ASCII | re.IGNORECASE,
)
_UNREGISTRABLE = (".localhost", ".local", ".internal", ".home.arpa")
"""Suffixes that are reserved: nobody can register a name under them in the public DNS."""
_SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing here; a page cannot read a response of another origin."""


class TrustedHosts:
    """Serves requests under trusted host names that no page of another origin sent.

    Args:
        app: The app to protect.
        allowed: Host names (`*.` for subdomains, `*` for any), which are served and whose pages may
            call the service; and origins, with `://`, whose pages may call it as well.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._origins = [entry for entry in allowed if "://" in entry]
        self._names = [entry for entry in allowed if "://" not in entry and entry != "*"]
        self._any_name = "*" in allowed
        self._app = app
        if self._origins:
            self._app = CORSMiddleware(
                app, allow_origins=self._origins, allow_methods=["*"], allow_headers=["*"]
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        problem = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await problem_response(Request(scope), problem)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if name:
            if not (self._any_name or self._is_listed(name) or _is_unregistrable(name)):
                return HOST_NOT_ALLOWED
        # Only programs such as load balancers speak HTTP/1.0, which requires no Host.
        elif hosts or scope["http_version"] != "1.0":
            return BAD_REQUEST
        if scope.get("method") not in _SAFE_METHODS and self._is_foreign(headers, name):
            return ORIGIN_NOT_ALLOWED
        return None

    def _is_listed(self, name: str) -> bool:
        return any(fnmatchcase(name, listed) for listed in self._names)

    def _is_foreign(self, headers: Headers, name: str) -> bool:
        """Return whether a page of another origin sent the request."""
        origins = headers.getlist("origin")
        if origins and all(map(self._is_allowed, origins)):
            return False
        if sites := headers.getlist("sec-fetch-site"):
            return not set(sites) <= {"same-origin", "none"}
        # Browsers send no Sec-Fetch-Site to an http:// address other than localhost. Schemes and
        # ports are ignored, as a proxy may have changed them.
        return any(_host_of(origin) != (name or None) for origin in origins)

    def _is_allowed(self, origin: str) -> bool:
        return origin in self._origins or self._is_listed(_host_of(origin))


def _host_name(host: str) -> str:
    """The name or address in a Host header, in lower case; "" if it is invalid."""
    found = _HOST.fullmatch(host)
    return found["name"].lower() if found else ""


def _host_of(origin: str) -> str:
    return _host_name(origin.partition("://")[2])


def _is_unregistrable(name: str) -> bool:
    """Return whether this is an address, or a name that no one else can own."""
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        is_local = "." not in name or name.endswith(_UNREGISTRABLE)
        return is_local and not name.startswith("[")
    return True
