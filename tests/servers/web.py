"""A local web server of sample pages, with correct behaviour or scripted failures."""

import asyncio
import gzip
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from html import unescape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal

from dataset.conversion.converter import Converted
from dataset.page_files import FileChanges
from dataset.progress import ignore_progress
from dataset.web.fetch_web import fetch_web
from dataset.web.http.addresses import normal
from dataset.web.http.guard import Guard
from dataset.web.problems import Problems
from dataset.web.request import FetchRequest, PageList
from tests.servers.threaded import QuietHandler, http_server

Conduct = Literal["well", "cut", "stalled", "trickling", "endless"]

MAY = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
NOW = datetime(2022, 1, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Served:
    """One page on the server."""

    content: bytes | str = b""
    media: str | None = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    conduct: Conduct = "well"
    etag: str | None = "content"
    """None sends no header; "content" derives it from the content."""
    modified: datetime | None = None
    gzipped: bool = False

    @property
    def body(self) -> bytes:
        plain = self.content.encode() if isinstance(self.content, str) else self.content
        return gzip.compress(plain, mtime=0) if self.gzipped else plain

    @property
    def validators(self) -> dict[str, str]:
        made = f'"{hashlib.sha256(self.body).hexdigest()[:12]}"'
        found = {"ETag": made if self.etag == "content" else self.etag}
        found["Last-Modified"] = format_datetime(self.modified, True) if self.modified else None
        return {name: value for name, value in found.items() if value}


def html(title: str, words: str = "Words.") -> str:
    """An HTML page."""
    return f"<html><head><title>{title}</title></head><body><p>{words}</p></body></html>"


def page(title: str, words: str = "Words.", **served: Any) -> Served:
    return Served(html(title, words), **served)


def markdown(text: str, **served: Any) -> Served:
    return Served(text, "text/markdown; charset=utf-8", **served)


def redirect(to: str, status: int = 302) -> Served:
    return Served(status=status, headers={"Location": to}, etag=None)


def sitemap(*addresses: str | tuple[str, str], **served: Any) -> Served:
    """A sitemap of URLs, or of URLs with their last modification dates."""
    pairs = [(one, "") if isinstance(one, str) else one for one in addresses]
    urls = "".join(
        f"<url><loc>{url}</loc>{f'<lastmod>{day}</lastmod>' if day else ''}</url>"
        for url, day in pairs
    )
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return Served(f'<?xml version="1.0"?><urlset xmlns="{space}">{urls}</urlset>', "text/xml",
                  **served)  # fmt: skip


@dataclass
class Asked:
    """A received request."""

    path: str
    headers: Mapping[str, str]
    connection: int


@dataclass
class WebServer:
    """The server's pages, and the requests received."""

    url: str
    pages: dict[str, Served] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    delay: float = 0.0
    refuse: Callable[[str], Served | None] = lambda _: None
    """Returns what is served for a path in place of its page."""
    at_once: int = 0
    most_at_once: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        """The requested paths, without robots.txt."""
        return [one.path for one in self.asked if one.path != "/robots.txt"]

    def sitemap(self, **served: Any) -> None:
        """List all pages in /sitemap.xml."""
        own = {"/sitemap.xml", "/robots.txt"}
        self.pages["/sitemap.xml"] = sitemap(
            *(f"{self.url}{path}" for path in self.pages if path not in own), **served
        )


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: WebServer

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(Asked(self.path, dict(self.headers), id(self.connection)))
        site.at_once += 1
        site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            time.sleep(site.delay)
            with suppress(BrokenPipeError, ConnectionResetError):
                page = site.refuse(self.path) or site.pages.get(self.path)
                self._answer(page or Served(status=404, etag=None))
        finally:
            site.at_once -= 1

    def _answer(self, served: Served) -> None:
        current = served.status == 200 and self._has(served)
        body = b"" if current else served.body
        self.send_response(304 if current else served.status)
        for name, value in {**served.validators, **served.headers}.items():
            self.send_header(name, value)
        if served.media is not None:
            self.send_header("Content-Type", served.media)
        if served.gzipped:
            self.send_header("Content-Encoding", "gzip")
        if served.conduct == "endless":
            self.send_header("Connection", "close")
            self.end_headers()
            while not self.site.closing.is_set():
                self.wfile.write(b"more and more " * 1000)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if served.conduct == "stalled":
            self.site.closing.wait(30)
        elif served.conduct == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif served.conduct == "trickling":
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                if self.site.closing.wait(0.05):
                    return
        else:
            self.wfile.write(body)

    def _has(self, served: Served) -> bool:
        """True if the request's validators match the page."""
        if etag := served.validators.get("ETag"):
            return self.headers.get("If-None-Match") == etag
        since = self.headers.get("If-Modified-Since")
        return bool(served.modified and since and served.modified <= parsedate_to_datetime(since))


@contextmanager
def web_server(pages: Mapping[str, Served] | None = None) -> Iterator[WebServer]:
    """Serve on a free loopback port."""

    class Handler(_Handler):
        """The handler of this server."""

    with http_server(Handler) as url:
        site = Handler.site = WebServer(url, dict(pages or {}))
        try:
            yield site
        finally:
            site.closing.set()


def read_html(content: bytes, url: str) -> Converted:
    """A minimal substitute for the converter: title, words and canonical link."""
    text = content.decode("utf-8-sig")
    title = re.search(r"<title>(.*?)</title>", text)
    canonical = re.search(r'rel="canonical" href="(.*?)"', text)
    changed = re.search(r'<time datetime="(.*?)"', text)
    words = re.sub(r"<head>.*?</head>|<[^>]*>", " ", text, flags=re.DOTALL)
    return Converted(
        text=unescape(" ".join(words.split())),
        title=unescape(title[1]) if title else "",
        url=canonical[1] if canonical else "",
        changed=changed[1] if changed else "",
    )


@dataclass
class Fetches:
    """Fetches into one folder, and records the messages."""

    folder: Path
    troubles: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    now: datetime = NOW
    guard: Guard | None = None
    wait: bool = False
    """Pauses take their time."""

    def __call__(self, *lists: PageList, **options: Any) -> FileChanges:
        """Fetch the pages of the lists."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            if self.wait:
                await asyncio.sleep(seconds)

        problems = Problems()
        progress = options.pop("progress", ignore_progress)
        request = FetchRequest(lists, **{"rate": 1000.0} | options)
        try:
            return fetch_web(
                self.folder, request, problems, convert=read_html, sleep=sleep,
                now=lambda: self.now, guard=self.guard, progress=progress,
            )  # fmt: skip
        finally:
            self.troubles = problems.summary()

    def files(self) -> dict[str, str]:
        """The documents by name below the host's folder."""
        found = sorted((self.folder / "web").rglob("*.md"))
        return {
            path.relative_to(self.folder / "web").as_posix().partition("/")[2]: path.read_text()
            for path in found
        }


def at(server: WebServer, path: str, kind: Any = "url") -> PageList:
    """A page or list of a server."""
    return PageList(kind, normal(f"{server.url}{path}"))
