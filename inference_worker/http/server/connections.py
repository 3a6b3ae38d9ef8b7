"""The open connections: how many there may be, and for how long a client may keep one waiting.

A connection is in one of these phases; all but `responding` end after a time:

    waiting     for a request, or for the rest of its headers   WAITING_SECONDS
    receiving   the body                                        BODY_SECONDS, plus 1 s per MIN_RATE
    responding  the request is complete, the app works          limited by the app
    draining    answered: the rest of the request is discarded  DRAINING_SECONDS

A client that does not read its response is disconnected after UNREAD_SECONDS.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal, Protocol

WAITING_SECONDS = 10.0
"""From the beginning of a connection or request to the end of its headers."""
BODY_SECONDS = 20.0
MIN_RATE = 8192
"""Bytes of a body per second, beyond BODY_SECONDS."""
DRAINING_SECONDS = 3.0
UNREAD_SECONDS = 30.0
SWEEP_SECONDS = 1.0
"""Interval of the checks."""
OTHER_FILES = 128
"""File descriptors that are kept free for everything but connections."""

ConnectionPhase = Literal["waiting", "receiving", "responding", "draining"]


class Connection(Protocol):
    """What the registry needs of a connection."""

    phase: ConnectionPhase
    address: str
    is_from_proxy: bool

    def close_overdue(self, now: float) -> None:
        """Close it if its phase has lasted too long."""

    def abort(self) -> None:
        """Close it at once."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections may be open."""

    total: int
    per_address: int
    """Of clients; a trusted proxy may open as many as all."""


class ConnectionRegistry:
    """The open connections; disconnects clients that keep one waiting.

    If there are as many as allowed, a new one replaces the one that has been waiting for a request
    longest: whoever opens connections without using them locks nobody out.
    """

    def __init__(self, limits: ConnectionLimits, count_refusal: Callable[[str], None]) -> None:
        self._limits = limits
        self.count_refusal = count_refusal
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        """In the order in which they began to wait."""
        self._by_address: Counter[str] = Counter()
        self._sweeping: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection) -> bool:
        """Add a new connection; False if it must be refused."""
        others = self._by_address[connection.address]
        if others >= self._limits.per_address and not connection.is_from_proxy:
            self.count_refusal("address")
            return False
        if len(self._open) >= self._limits.total:
            self.count_refusal("connections")
            if not self._waiting:
                return False
            longest = next(iter(self._waiting))
            self.remove(longest)
            longest.abort()
        self._open.add(connection)
        self._by_address[connection.address] += 1
        if not self._sweeping:
            self._schedule()
        return True

    def remove(self, connection: Connection) -> None:
        """Remove a connection that was closed."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._open.discard(connection)
            self._by_address[connection.address] -= 1
            if not self._by_address[connection.address]:
                del self._by_address[connection.address]

    def update(self, connection: Connection) -> None:
        """Record that a connection's phase began."""
        self._waiting.pop(connection, None)
        if connection.phase == "waiting" and connection in self._open:
            self._waiting[connection] = None

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._open):
            connection.close_overdue(now)
        self._sweeping = None
        if self._open:
            self._schedule()


def client_of(address: str) -> str:
    """The address that connections are counted by: of IPv6, the network of one client (/64)."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    return str(ip.ipv4_mapped or IPv6Address(int(ip) >> 64 << 64))


class Networks:
    """IP addresses and networks, of which an address may be one or part."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._networks = tuple(map(ip_network, entries))

    def __contains__(self, address: object) -> bool:
        """Whether an address, as text, is among them."""
        try:
            ip = ip_address(str(address))
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def affordable_connections(wanted: int, backlog: int, reserved: int) -> int:
    """How many connections the limit of open files allows, of those wanted; raises that limit.

    Args:
        wanted: The number in the settings.
        backlog: Connections that the event loop may accept at once, before they are counted.
        reserved: File descriptors for the service's own connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + backlog + reserved + OTHER_FILES
    if resource.RLIM_INFINITY != soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(wanted, soft - backlog - reserved - OTHER_FILES))
    return wanted
