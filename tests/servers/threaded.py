"""Serves HTTP in a thread, for the local servers with scripted failures."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """A request handler without a log."""

    disable_nagle_algorithm = True
    """Otherwise a body sent after its headers waits 40 ms for a delayed acknowledgement."""

    def send(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a whole response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Suppress the request log."""


@contextmanager
def http_server(
    handler: type[QuietHandler], address: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[str]:
    """Serve, by default on a free loopback port; yields the URL."""
    with ThreadingHTTPServer(address, handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()
