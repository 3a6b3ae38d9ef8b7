"""Fetches pages politely: robots.txt, rate limits, retries, redirects."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from dataset.web.http.addresses import host_of, normal
from dataset.web.http.guard import Guard, Transport
from dataset.web.http.hosts import Host, HostLeftError, Sleep
from dataset.web.http.responses import (
    Response,
    Validators,
    http_date,
    read_body,
    retry_after_seconds,
    validator,
)
from dataset.web.http.robots import MAX_BYTES as MAX_ROBOTS_BYTES
from dataset.web.http.robots import Robots
from utils.errors import DocumentError

AGENT = "sagemaker-docs-qa"
MAX_PAGE_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 5
_MAX_ATTEMPTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRY_STATUSES = (429, 500, 502, 503, 504)
_TOO_MANY = (429, 503)
_ACCEPT = "text/html, text/markdown, text/plain;q=0.9, */*;q=0.1"
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_NO_VALIDATORS = Validators()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one response."""

    max_bytes: int = MAX_PAGE_BYTES
    seconds: float = 60.0
    cut: bool = False
    """Keep the beginning of a larger one."""


PAGE = Bounds()
_ROBOTS = Bounds(MAX_ROBOTS_BYTES, cut=True)


class WebClient:
    """Fetches pages within robots.txt, the rate and the time limits."""

    def __init__(
        self, guard: Guard, *, rate: float, contact: str, sleep: Sleep, at_once: int = 1
    ) -> None:
        """Create a client; `rate` and `at_once` limit the requests to each host."""
        agent = f"{AGENT}/1 (+{contact})" if contact else f"{AGENT}/1"
        self.guard = guard
        self.patience: asyncio.Timeout | None = None
        """Ends the wait for a first answer. Our own pauses extend it, and it has no end any more
        once a host starts to send what was requested; a robots.txt does not count."""
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            transport=Transport(guard),
            headers={"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip"},
            timeout=_TIMEOUT,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._hosts: defaultdict[str, Host] = defaultdict(partial(Host, rate, at_once, self._pause))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _pause(self, seconds: float) -> None:
        if self.patience and (end := self.patience.when()):
            self.patience.reschedule(end + seconds)
        await self._sleep(seconds)

    async def get(
        self, url: str, known: Validators = _NO_VALIDATORS, bounds: Bounds | None = None
    ) -> Response:
        """Fetch a page, following redirects; returns any status that is not worth a retry.

        The validators of the stored content, `known`, are sent only to the address that issued
        them. The default `bounds` are those of a page.

        Raises:
            HostLeftError: the host is down, or skipped for the rest of the run.
            DocumentError: there is no usable response; the message states why.
        """
        first, bounds = host_of(url), bounds or PAGE
        for _ in range(MAX_REDIRECTS + 1):
            conditions = known if known.url == url else _NO_VALIDATORS
            host = self._hosts[host_of(url)]
            try:
                await self._check_robots(host, url)
                response = await self._request(host, url, conditions, bounds)
            except HostLeftError as error:
                if host_of(url) == first:
                    raise
                raise DocumentError(f"is redirected to {host_of(url)}: {error}") from error
            if response.status not in _REDIRECTS:
                return response
            url = _target(response)
        raise DocumentError(f"is redirected more than {MAX_REDIRECTS} times")

    async def _check_robots(self, host: Host, url: str) -> None:
        host.check()
        async with host.reading_robots:
            if (robots := host.robots) is None:
                robots = await self._fetch_robots(host, normal("/robots.txt", url))
                host.obey(robots)
        host.check()
        if not robots.allow(url):
            raise DocumentError("robots.txt does not allow it")

    async def _fetch_robots(self, host: Host, url: str) -> Robots:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                response = await self._request(
                    self._hosts[host_of(url)], url, _NO_VALIDATORS, _ROBOTS
                )
                if response.status not in _REDIRECTS:
                    break
                url = _target(response)
        except DocumentError as error:
            host.leave(f"its robots.txt {error}")
            return Robots()
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            host.leave(f"its robots.txt {response.problem()}")
        return Robots(response.content, AGENT) if response.status == HTTPStatus.OK else Robots()

    async def _request(self, host: Host, url: str, known: Validators, bounds: Bounds) -> Response:
        """Request one address; failures and statuses worth a retry are retried."""
        for attempt in range(_MAX_ATTEMPTS):
            async with host.turn:
                host.check()
                await host.wait()
                try:
                    response = await self._send(url, known, bounds)
                except httpx.RequestError as error:
                    response, problem = None, _reason(error)
                    if isinstance(error, httpx.ConnectError) and not host.reached:
                        raise DocumentError(problem) from error
                except TimeoutError as error:
                    host.count(failed=True)
                    raise DocumentError(f"takes longer than {bounds.seconds:g} s") from error
            host.reached = host.reached or response is not None
            if response and response.status not in _RETRY_STATUSES:
                host.count(failed=False)
                return response
            if response:
                problem = response.problem()
            if attempt < _MAX_ATTEMPTS - 1:
                retry_after = response.retry_after if response else ""
                host.back_off(
                    retry_after_seconds(retry_after, default=float(2**attempt)),
                    too_many=response is not None and response.status in _TOO_MANY,
                )
        host.count(failed=True)
        raise DocumentError(problem)

    async def _send(self, url: str, known: Validators, bounds: Bounds) -> Response:
        try:
            async with (
                asyncio.timeout(bounds.seconds),
                self._http.stream("GET", url, headers=known.headers()) as response,
            ):
                is_ok = response.status_code == HTTPStatus.OK
                if self.patience and is_ok and bounds is not _ROBOTS:
                    self.patience.reschedule(None)
                return await _to_response(url, response, bounds)
        except (httpx.InvalidURL, UnicodeError) as error:  # also of a redirect's target
            raise DocumentError("is not the address of a page") from error


async def _to_response(url: str, response: httpx.Response, bounds: Bounds) -> Response:
    content = b""
    if response.status_code == HTTPStatus.OK:
        content = await read_body(response, bounds.max_bytes, cut=bounds.cut)
    else:
        # A short body is read so that the connection can serve the next request.
        with suppress(DocumentError):
            await read_body(response, 64 * 1024)
    headers = response.headers
    media, _, _ = headers.get("Content-Type", "").partition(";")
    return Response(
        url=url,
        status=response.status_code,
        media=media.strip().lower(),
        charset=response.charset_encoding or "",
        content=content,
        etag=validator(headers.get("ETag", "")),
        modified=http_date(headers.get("Last-Modified", "")),
        location=headers.get("Location", ""),
        retry_after=headers.get("Retry-After", "").strip(),
    )


def _target(response: Response) -> str:
    if not response.location:
        raise DocumentError("is redirected without a target")
    try:
        return normal(response.location, response.url)
    except DocumentError as error:
        raise DocumentError(f"is redirected to an address that {error}") from error


def _reason(error: httpx.RequestError) -> str:
    """Why a request failed, without httpx's own text."""
    if isinstance(error, httpx.TimeoutException):
        return "does not respond in time"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "presents a certificate that is not trusted"
    if isinstance(error, httpx.ProxyError):
        return "is refused by the proxy"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    return "ended before it was complete"
