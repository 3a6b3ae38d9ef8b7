"""Public pages cannot lead requests to this machine or to a private network."""

import asyncio
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from dataset.web.http.guard import Guard, Transport, resolve
from dataset.web.request import PageList
from tests.servers.web import Fetches, at, page, redirect, sitemap, web_server
from utils.errors import DatasetError, DocumentError

PUBLIC = "93.184.216.34"


@dataclass
class Names:
    """A resolver of made-up names."""

    addresses: dict[str, list[str]]

    async def __call__(self, host: str, port: int) -> list[str]:
        if host not in self.addresses:
            raise OSError("no such name")
        return self.addresses[host]


class ToLoopback(httpcore.AsyncNetworkBackend):
    """Redirects connections to a local server, and records their original targets."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, *rest: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append((host, port))
        return await self._real.connect_tcp("127.0.0.1", port)


def allowed(guard: Guard, host: str, port: int = 80) -> list[str]:
    return asyncio.run(guard.resolve_allowed(host, port))


def resolves_to(*addresses: str) -> Names:
    return Names({"h.example": list(addresses)})


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(Guard(resolve=resolves_to(address)), "h.example") == [address]


OWN = [
    *("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::"),  # noqa: S104  # nothing is bound
    *("169.254.169.254", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "2002:7f00:1::"),
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
ODD = ["100.64.0.1", "224.0.0.1", "255.255.255.255", "ff02::1", "192.0.2.1", "240.0.0.1"]


@pytest.mark.parametrize("address", [*OWN, *PRIVATE, *ODD])
def test_non_public_addresses_are_refused(address: str) -> None:
    with pytest.raises(DocumentError, match="leads to h"):
        allowed(Guard(resolve=resolves_to(address)), "h.example")


def test_host_with_one_private_address_is_refused() -> None:
    with pytest.raises(DocumentError):
        allowed(Guard(resolve=resolves_to(PUBLIC, "10.0.0.1")), "h.example")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_allowed_with_the_intranet_option(address: str) -> None:
    guard = Guard(intranet=True, resolve=resolves_to(address))
    assert allowed(guard, "h.example") == [address]


@pytest.mark.parametrize("address", OWN)
def test_intranet_option_does_not_allow_this_machine(address: str) -> None:
    with pytest.raises(DocumentError, match="this machine"):
        allowed(Guard(intranet=True, resolve=resolves_to(address)), "h.example")


def test_address_given_by_the_user_is_allowed_at_its_port_only() -> None:
    names = Names({"127.0.0.1": ["127.0.0.1"], "h.example": ["127.0.0.1"]})
    guard = Guard(["http://127.0.0.1:8000/a", "http://h.example/b"], resolve=names)
    assert allowed(guard, "127.0.0.1", 8000)
    for host, port in (("127.0.0.1", 8001), ("h.example", 80)):
        with pytest.raises(DocumentError):
            allowed(guard, host, port)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((DocumentError, httpcore.ConnectError)):
        allowed(Guard(), host)


@pytest.mark.parametrize("kind", ["redirect", "sitemap"])
@pytest.mark.parametrize("to", ["secret.example", "10.0.0.7", "169.254.169.254"])
def test_public_host_cannot_lead_to_a_private_address(tmp_path: Path, kind: str, to: str) -> None:
    with web_server({"/a": page("A")}) as server:
        port = int(server.url.rpartition(":")[2])
        public, private = f"http://h.example:{port}", f"http://{to}:{port}"
        server.pages["/away"] = redirect(f"{private}/secret")
        server.pages["/sitemap.xml"] = sitemap(f"{public}/a", f"{private}/secret")
        server.pages["/secret"] = page("Secret")
        names = Names({"h.example": [PUBLIC], to: [to], "secret.example": ["127.0.0.1"]})
        inner = ToLoopback()
        fetch = Fetches(tmp_path, guard=Guard([public], resolve=names, inner=inner))
        if kind == "redirect":
            fetch(PageList("url", f"{public}/a"), PageList("url", f"{public}/away"))
        else:
            fetch(PageList("sitemap", f"{public}/sitemap.xml"), other_hosts=True)

    assert list(fetch.files()) == ["a.md"]
    assert {host for host, _ in inner.connected} == {PUBLIC}
    assert "/secret" not in server.paths
    assert f"leads to {to} at" in fetch.troubles[0]


def test_address_of_a_name_is_checked_at_each_connection(tmp_path: Path) -> None:
    with web_server({"/a": page("A")}) as server:
        url = f"http://h.example:{server.url.rpartition(':')[2]}/a"
        names = resolves_to(PUBLIC)
        fetch = Fetches(tmp_path, guard=Guard([url], resolve=names, inner=ToLoopback()))
        assert fetch(PageList("url", url)).new == 1
        names.addresses["h.example"] = ["127.0.0.1"]
        with pytest.raises(DatasetError):
            fetch(PageList("url", url))
        assert "leads to h.example at 127.0.0.1" in fetch.troubles[0]
        assert len(fetch.files()) == 1


def test_unknown_host_and_closed_port_are_reported_in_one_line(tmp_path: Path) -> None:
    guard = Guard(resolve=Names({}))
    fetch = Fetches(tmp_path, guard=guard)
    with pytest.raises(DatasetError):
        fetch(PageList("url", "http://h.example/a"))
    assert fetch.troubles == [
        "h.example: its robots.txt cannot be connected to; 1 pages not requested"
    ]
    with web_server() as server:
        closed = at(server, "/a")
    fetch = Fetches(tmp_path)
    with pytest.raises(DatasetError):
        fetch(closed)
    assert "cannot be connected to" in fetch.troubles[0]


def test_name_lookup_that_hangs_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(20) and [])

    async def look_up() -> None:
        async with asyncio.timeout(0.2):
            await resolve("h.example", 80)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(look_up())
    assert time.monotonic() - started < 3
    ended.set()


@pytest.mark.parametrize("scheme", ["http", "all"])
def test_proxy_is_used_and_private_names_are_refused_without_it(scheme: str) -> None:
    async def get(url: str) -> int:
        with_proxy = Transport(guard, {scheme: proxy.url, "no": "h.example"})
        async with httpx.AsyncClient(transport=with_proxy) as client:
            return (await client.get(url)).status_code

    with web_server({"http://h.example/a": page("A")}) as proxy:
        names = Names({"h.example": [PUBLIC], "wiki.example": ["10.0.0.1"]})
        guard = Guard(resolve=names)
        assert asyncio.run(get("http://h.example/a")) == 200
        assert asyncio.run(get("http://only-the-proxy-knows.example/a")) == 404
        with pytest.raises(DocumentError, match="private network"):
            asyncio.run(get("http://wiki.example/a"))
    assert proxy.asked[0].path == "http://h.example/a"
