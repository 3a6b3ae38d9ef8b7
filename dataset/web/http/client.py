"""Asks hosts for pages as a polite guest does."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self

import httpx

from dataset.web.http.addresses import host_of, normal
from dataset.web.http.guard import Guard, Transport
from dataset.web.http.hosts import Clock, Host, HostLeftError, Sleep
from dataset.web.http.responses import Response, Validators, http_date, read_body, validator
from dataset.web.http.retry_after import retry_after_seconds
from dataset.web.http.robots import MAX_BYTES as MAX_ROBOTS_BYTES
from dataset.web.http.robots import Robots
from utils.errors import DocumentError

AGENT = "sagemaker-docs-qa"
MAX_PAGE_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 5
_TRIES = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (429, 500, 502, 503, 504)
_ACCEPT = "text/html, text/markdown, text/plain;q=0.9, */*;q=0.1"
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_ANYTHING = Validators()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may take."""

    most_bytes: int = MAX_PAGE_BYTES
    seconds: float = 60.0
    cut: bool = False
    """Take the beginning of a larger one."""


PAGE = Bounds()
_ROBOTS = Bounds(MAX_ROBOTS_BYTES, cut=True)


class WebClient:
    """Fetches pages; obeys robots.txt, keeps to the rate, and gives up in time."""

    def __init__(
        self,
        guard: Guard,
        *,
        rate: float = 2.0,
        contact: str = "",
        sleep: Sleep = asyncio.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        agent = f"{AGENT}/1 (+{contact})" if contact else f"{AGENT}/1"
        self.guard = guard
        self._http = httpx.AsyncClient(
            transport=Transport(guard),
            headers={"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip"},
            timeout=_TIMEOUT,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._hosts: defaultdict[str, Host] = defaultdict(partial(Host, rate, sleep, clock))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def get(
        self, url: str, known: Validators = _ANYTHING, bounds: Bounds | None = None
    ) -> Response:
        """Fetch a page, through redirects; any status but those of a host in trouble is an answer.

        Args:
            url: The page's address, in its normal spelling.
            known: What we hold already; only the address that gave it is asked conditionally.
            bounds: What the answer may take; unless told, what a page may.

        Raises:
            HostLeftError: the host is down, or wants to be left alone.
            DocumentError: there is no answer that may be used; the message says why.
        """
        first, bounds = host_of(url), bounds or PAGE
        for _ in range(MAX_REDIRECTS + 1):
            conditions = known if known.url == url else _ANYTHING
            host = self._hosts[host_of(url)]
            try:
                await self._permitted(host, url)
                answer = await self._ask(host, url, conditions, bounds)
            except HostLeftError as error:
                if host_of(url) == first:
                    raise
                raise DocumentError(f"is redirected to {host_of(url)}, which {error}") from error
            if answer.status not in _REDIRECTS:
                return answer
            url = _target(answer)
        raise DocumentError(f"is redirected more than {MAX_REDIRECTS} times")

    async def _permitted(self, host: Host, url: str) -> None:
        host.check()
        async with host.reading_robots:
            if (robots := host.robots) is None:
                robots = await self._robots(host, normal("/robots.txt", url))
                host.obey(robots)
        host.check()
        if not robots.allow(url):
            raise DocumentError("robots.txt does not allow it")

    async def _robots(self, host: Host, url: str) -> Robots:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                answer = await self._ask(self._hosts[host_of(url)], url, _ANYTHING, _ROBOTS)
                if answer.status not in _REDIRECTS:
                    break
                url = _target(answer)
        except DocumentError as error:
            host.leave(f"its robots.txt {error}")
            return Robots()
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            host.leave(f"its robots.txt {answer.problem()}")
        return Robots(answer.content, AGENT) if answer.status == HTTPStatus.OK else Robots()

    async def _ask(self, host: Host, url: str, known: Validators, bounds: Bounds) -> Response:
        """Ask one address, a few times where it is in trouble."""
        for attempt in range(_TRIES):
            async with host.turn:
                host.check()
                await host.wait()
                try:
                    answer = await self._once(url, known, bounds)
                except httpx.RequestError as error:
                    answer, problem = None, _reason(error)
                except TimeoutError as error:
                    host.count(failed=True)
                    raise DocumentError(f"takes longer than {bounds.seconds:g} s") from error
            if answer and answer.status not in _AGAIN:
                host.count(failed=False)
                return answer
            if answer:
                problem = answer.problem()
            if attempt < _TRIES - 1:
                pause = float(2**attempt)
                host.back_off(retry_after_seconds(answer.retry_after, pause) if answer else pause)
        host.count(failed=True)
        raise DocumentError(problem)

    async def _once(self, url: str, known: Validators, bounds: Bounds) -> Response:
        try:
            async with (
                asyncio.timeout(bounds.seconds),
                self._http.stream("GET", url, headers=known.headers()) as response,
            ):
                return await _answer(url, response, bounds)
        except httpx.InvalidURL as error:
            raise DocumentError("is no address of a page") from error


async def _answer(url: str, response: httpx.Response, bounds: Bounds) -> Response:
    content = b""
    if response.status_code == HTTPStatus.OK:
        content = await read_body(response, bounds.most_bytes, cut=bounds.cut)
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


def _target(answer: Response) -> str:
    if not answer.location:
        raise DocumentError("is redirected to nowhere")
    try:
        return normal(answer.location, answer.url)
    except DocumentError as error:
        raise DocumentError(f"is redirected to what {error}") from error


def _reason(error: httpx.RequestError) -> str:
    """Say in our own words why a request failed."""
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "shows a certificate that is not trusted here"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    return "breaks off before its end"
