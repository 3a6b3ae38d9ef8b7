"""Prevents server-side request forgery: addresses are checked when they are connected to.

A public page may redirect to this machine, to its cloud's metadata service or to an intranet, and
a name may resolve to another address a moment later. So the very address that is connected to is
checked.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from dataset.web.http.addresses import endpoint, is_literal
from utils.errors import DocumentError
from utils.proxies import with_scheme

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name, in a thread for which nothing waits: a lookup cannot be interrupted."""
    found: Future[list[Any]] = Future()
    found.set_running_or_notify_cancel()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    Thread(target=look_up, daemon=True).start()
    return list(dict.fromkeys(str(where[4][0]) for where in await asyncio.wrap_future(found)))


class Guard(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to private ones only if the user allowed them."""

    def __init__(
        self,
        named: Iterable[str] = (),
        *,
        intranet: bool = False,
        resolve: Resolve = resolve,
        inner: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """Create a guard.

        Numeric addresses that the user `named` are allowed at their exact port, even if private.
        `intranet` allows private addresses for all hosts, but not this machine's own.
        """
        self._named: set[tuple[str, int]] = set()
        self.allow_named(named)
        self._intranet = intranet
        self._resolve = resolve
        self._inner = inner or httpcore.AnyIOBackend()

    def allow_named(self, addresses: Iterable[str]) -> None:
        """Add addresses that the user gave."""
        ends = (endpoint(url) for url in addresses)
        self._named |= {(host, port) for host, port in ends if is_literal(host)}

    async def connect_tcp(
        self, host: str, port: int, *rest: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that accepts."""
        problem: Exception = httpcore.ConnectError("it has no address")
        for address in await self.resolve_allowed(host, port):
            try:
                return await self._inner.connect_tcp(address, port, *rest, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def resolve_allowed(self, host: str, port: int) -> list[str]:
        """Resolve a host.

        Raises:
            DocumentError: an address is not allowed.
        """
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"its name cannot be resolved: {host}") from error
        if (host, port) in self._named:
            return found
        for address in found:
            self._check(host, ipaddress.ip_address(address))
        return found

    def is_named(self, host: str, port: int) -> bool:
        """True if the user gave this numeric address and port."""
        return (host, port) in self._named

    def _check(self, host: str, address: IPAddress) -> None:
        for target in _targets(address):
            if target.is_global and not target.is_multicast:
                continue
            own = target.is_loopback or target.is_link_local or target.is_unspecified
            if self._intranet and target.is_private and not own:
                continue
            what = "this machine or its own network" if own else "a private network"
            remedy = "" if own else "; --intranet allows it"
            raise DocumentError(f"leads to {host} at {address}, {what}{remedy}")


class Transport(httpx.AsyncBaseTransport):
    """Sends requests through the guard, or through the system's proxy if one is set."""

    def __init__(self, guard: Guard, proxies: dict[str, str] | None = None) -> None:
        self._guard = guard
        self._direct = _Direct(guard)
        proxies = getproxies() if proxies is None else proxies
        used = () if proxies.get("no") == "*" else ("http", "https", "all")
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(proxy=with_scheme(proxy))
            for scheme, proxy in proxies.items()
            if scheme in used
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        url = request.url
        host, port = endpoint(str(url))
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy is None or self._guard.is_named(host, port) or proxy_bypass(host):
            return await self._direct.handle_async_request(request)
        # A proxy resolves names itself; only our own resolution can be checked.
        with suppress(httpcore.ConnectError):
            await self._guard.resolve_allowed(host, port)
        return await proxy.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for transport in (self._direct, *self._proxies.values()):
            await transport.aclose()


class _Direct(httpx.AsyncHTTPTransport):
    """httpx's transport, with connections made by the guard."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(verify=_trusted())
        self._pool: Any = httpcore.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=16,
            max_keepalive_connections=8,
            keepalive_expiry=30.0,
            network_backend=guard,
        )


@cache
def _trusted() -> ssl.SSLContext:
    """The trusted certificates, loaded once: that takes 0.1 s."""
    return httpx.create_ssl_context()


def _targets(address: IPAddress) -> list[IPAddress]:
    """The address, and those that a gateway would translate it to."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    inside = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        return [one for one in inside if one]
    return [address, *(one for one in inside if one)]
