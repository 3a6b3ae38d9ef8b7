"""uvicorn's HTTP protocol, with limits on what one connection may send and how long it may take.

It also refuses what arrives while the service is saturated, before that becomes a task of the app.
"""

import asyncio
import contextlib
import json
from collections.abc import Container
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from inference_worker.http.admission import Load
from inference_worker.http.middleware import MAX_DISCARDED_BYTES, identify
from inference_worker.http.problems import BAD_REQUEST, MEDIA_TYPE, Problem, problem_document
from inference_worker.http.server.connections import (
    BODY_SECONDS,
    DRAINING_SECONDS,
    MIN_RATE,
    UNREAD_SECONDS,
    WAITING_SECONDS,
    ConnectionPhase,
    ConnectionRegistry,
    client_of,
)

MAX_HEADER_BYTES = 65_536
"""Of a request's first line and headers together."""
MAX_PIPELINED = 8
"""Requests that a client may send before the response to the first."""
MAX_CHUNK_OVERHEAD = 8
"""Bytes sent per byte of a body: the smallest chunk is six bytes long."""

REQUEST_TIMEOUT = Problem(
    "request-timeout", 408, "The request did not arrive in time", "Send it again, without pauses."
)
HEADERS_TOO_LARGE = Problem(
    "headers-too-large",
    431,
    "The request's headers are too large",
    f"Send at most {MAX_HEADER_BYTES:,} bytes of headers, with the address.",
)
TOO_MANY_CONNECTIONS = Problem(
    "too-many-connections",
    503,
    "Too many connections are open",
    "Close some, or try again in a few seconds; reuse one connection for several requests.",
)


class LimitedProtocol(HttpToolsProtocol):
    """One connection; the registry closes it when it is overdue."""

    def __init__(
        self,
        registry: ConnectionRegistry,
        load: Load,
        proxies: Container[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._registry = registry
        self._load = load
        self._proxies = proxies
        self.phase: ConnectionPhase = "waiting"
        self.address = ""
        self.is_from_proxy = False
        self._since = 0.0
        self._in_headers = False
        self._header_bytes = 0
        self._unfinished_bytes = 0
        """Bytes that arrived since the headers began, while they are unfinished."""
        self._body_bytes = 0
        self._framing_bytes = 0
        """Bytes beside the body that arrived with it: chunk sizes and trailers."""
        self._unread = (0, 0.0)
        """Bytes of the response that the client has not read, and since when it has read none."""
        self._refusal = BAD_REQUEST
        self._refused_at_once = 0
        """Requests of the bytes that arrived last which were refused for lack of capacity."""

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit or refuse a new connection."""
        self._socket = cast("asyncio.Transport", transport)
        super().connection_made(cast("asyncio.Transport", _DrainingTransport(self._socket, self)))
        peer = self.client[0] if self.client else ""
        self.address, self.is_from_proxy = client_of(peer), peer in self._proxies
        if self._registry.admit(self):
            self._enter("waiting")
        else:  # without draining, which would occupy the connection
            self._socket.write(_response(TOO_MANY_CONNECTIONS))
            self._socket.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection occupies."""
        self._registry.remove(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close the connection at once; what was not sent is lost."""
        self._socket.abort()

    def close_overdue(self, now: float) -> None:
        """Close the connection if the client has taken too long."""
        seconds = now - self._since
        if self.phase == "waiting" and seconds > WAITING_SECONDS:
            if self._in_headers:
                self._give_up(REQUEST_TIMEOUT)
            else:
                self.abort()
        elif self.phase == "receiving" and not self.flow.read_paused:
            allowed = BODY_SECONDS + self._body_bytes / MIN_RATE
            if seconds > allowed:
                self._give_up(REQUEST_TIMEOUT)
        self._check_unread(now)

    def _check_unread(self, now: float) -> None:
        unread = self._socket.get_write_buffer_size()
        if not unread or unread != self._unread[0]:
            self._unread = (unread, now)
        elif now - self._unread[1] > UNREAD_SECONDS:
            self._registry.count_refusal("unread")
            self.abort()

    def _enter(self, phase: ConnectionPhase) -> None:
        self.phase = phase
        self._since = self.loop.time()
        self._registry.update(self)

    # The request.

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; refuse headers and trailers over the limit, finished or not."""
        if self.phase == "draining":
            return
        before = self.phase
        if before == "waiting" and not self._in_headers:
            self._enter("waiting")  # until now, a connection that was kept was idle
        was_in_headers, body_before = self._in_headers, self._body_bytes
        self._refused_at_once = 0
        super().data_received(data)
        if self._in_headers and was_in_headers:
            self._unfinished_bytes += len(data)
        elif before == self.phase == "receiving":
            expected = MAX_CHUNK_OVERHEAD * (self._body_bytes - body_before)
            self._framing_bytes = max(0, self._framing_bytes + len(data) - expected)
        if max(self._unfinished_bytes, self._framing_bytes) > MAX_HEADER_BYTES:
            self._give_up(HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = self._unfinished_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Count the address as a header."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or trailer."""
        self._count_header(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)

    def _count_header(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > MAX_HEADER_BYTES:
            self._stop_parsing(HEADERS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Start the request; its body may follow."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop_parsing(TOO_MANY_CONNECTIONS)
        self._in_headers = False
        self._unfinished_bytes = self._body_bytes = self._framing_bytes = 0
        self._enter("receiving")
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin with a request; uvicorn calls this when the responses before it are complete.

        A refusal is sent at once: a task of the app would wait several times for Python's global
        lock, which the searches hold when the service is saturated.
        """
        is_for_app = (
            not self._load.refuses(cycle.scope)
            or self._refused_at_once == MAX_PIPELINED  # other connections have their turn
            or self._socket.get_write_buffer_size() > 0  # the app waits until the client reads
            or any(name == b"origin" for name, _ in cycle.scope["headers"])  # it adds CORS headers
        )
        if is_for_app:
            self._unset_keepalive_if_required()  # of a refusal that preceded it in the same packet
            super()._start_asgi_task(cycle, app)
            return
        self._refused_at_once += 1
        headers = identify(cycle.scope)
        refusal = self._load.refusal(cycle.scope)
        refusal.raw_headers += headers
        sending = refusal(cycle.scope, cycle.receive, cycle.send)
        with contextlib.suppress(StopIteration):
            sending.send(None)  # to its end: it would only wait for a client that does not read

    def on_body(self, body: bytes) -> None:
        """Receive a part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)
        self._end_useless_body()

    def on_message_complete(self) -> None:
        """Wait for the response; if it was sent already, for the next request."""
        super().on_message_complete()
        if self.phase == "draining":
            self._socket.close()  # there is nothing left to discard
            return
        self._enter("waiting" if self.cycle.response_complete else "responding")

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one."""
        super().on_response_complete()
        if self.phase == "responding" and self.cycle.response_complete:
            self._enter("waiting")
        self._end_useless_body()

    def _end_useless_body(self) -> None:
        is_useless = self.phase == "receiving" and self.cycle.response_complete
        if is_useless and self._body_bytes > MAX_DISCARDED_BYTES:
            self.drain()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed, or whose parsing was stopped."""
        self._give_up(self._refusal)

    def _stop_parsing(self, problem: Problem) -> None:
        self._refusal = problem
        raise ValueError(problem.type)  # the parser stops, and `send_400_response` is called

    # Refusals.

    def _give_up(self, problem: Problem) -> None:
        """Refuse the current request; to the app, its client has disconnected."""
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline or not cycle.more_body:
                self.abort()  # the next response is another request's
                return
        self._refuse(problem)

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        self._registry.count_refusal(problem.type)
        self._socket.write(_response(problem))
        self.drain()

    def drain(self) -> None:
        """Discard the rest of the request: closing at once would reset the connection.

        A reset can overtake the response, which the client then never reads (RFC 9112, 9.6).
        """
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._enter("draining")
        self.flow.resume_reading()
        self._socket.write_eof()
        self.loop.call_later(DRAINING_SECONDS, self.abort)


class _DrainingTransport:
    """A transport whose connection is drained before it is closed, if a request is incomplete."""

    def __init__(self, transport: asyncio.Transport, protocol: LimitedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        if not self.is_closing():  # uvloop raises an exception then
            self._transport.write(data)

    def close(self) -> None:
        if self._protocol.phase == "receiving":
            self._protocol.drain()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        return self._protocol.phase == "draining" or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _response(problem: Problem) -> bytes:
    """A whole response; there is no request whose path and id it could name."""
    document = problem_document(problem, None, "", "")
    body = json.dumps({name: value for name, value in document.items() if value}).encode()
    status = HTTPStatus(problem.status)
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "connection: close",
        *(["retry-after: 5"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
