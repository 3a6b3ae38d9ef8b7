"""A static web server over a folder, without listings, with scripted failures."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal

from tests.servers.threaded import QuietHandler, http_server

Conduct = Literal["well", "cut", "stalled", "endless", "refusing", "broken"]


@dataclass
class WebFolder:
    """The server's address, its behaviour for range requests, and the requests received."""

    url: str
    conduct: Conduct = "well"
    missing: int = 404
    """The status for a missing file."""
    times: int = 10**6
    """The number of range requests that fail."""
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def parts_asked(self) -> list[str]:
        return [path for path in self.asked if "/part-" in path]


@contextmanager
def web_folder(folder: Path) -> Iterator[WebFolder]:
    """Serve on a free loopback port."""
    web: WebFolder

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append(self.path)
            file = folder / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(web.missing)
                return
            conduct = web.conduct if "/part-" in self.path and web.times > 0 else "well"
            web.times -= conduct != "well"
            self._give(file.read_bytes(), conduct)

        def _give(self, content: bytes, conduct: Conduct) -> None:
            if conduct in ("refusing", "broken"):
                self.send_error(403 if conduct == "refusing" else 500)
                return
            size = 10**9 if conduct == "endless" else len(content)
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            half = content[: len(content) // 2]
            self.wfile.write(content if conduct == "well" else half)
            if conduct == "stalled":
                web.closing.wait(30)
            while conduct == "endless" and not web.closing.is_set():
                try:
                    self.wfile.write(bytes(1 << 16))
                except OSError:
                    return
                time.sleep(0.001)

    with http_server(Handler) as url:
        web = WebFolder(url)
        try:
            yield web
        finally:
            web.closing.set()
