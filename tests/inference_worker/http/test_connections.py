"""No client can fill the memory or occupy all connections; it learns why it is refused."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.admission import Load
from inference_worker.http.server import connections, protocol
from inference_worker.http.server.connections import (
    OTHER_FILES,
    ConnectionLimits,
    ConnectionRegistry,
    Networks,
    client_of,
)
from inference_worker.http.server.protocol import MAX_HEADER_BYTES, MAX_PIPELINED, LimitedProtocol
from tests.servers.service import until
from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process

Exchange = Callable[..., bytes]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Responds at once to /early, after one second to /slow, else with the length of the body."""
    length = 0
    if scope["path"] == "/slow":
        await asyncio.sleep(1.0)
    elif scope["path"] != "/early":
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class ChosenLoad(Load):
    """Load that a test declares saturated or not."""

    is_saturated = False


class Server:
    """The app behind the limits, in a thread."""

    def __init__(
        self,
        total: int = 50,
        per_address: int = 50,
        idle_seconds: int = 5,
        proxies: Sequence[str] = (),
    ) -> None:
        self.refusals: list[str] = []
        limits = ConnectionLimits(total, per_address)
        registry = ConnectionRegistry(limits, self.refusals.append)
        self.load = ChosenLoad(ConcurrencyLimit(1), 1.0, 1, self.refusals.append)
        protocol = partial(LimitedProtocol, registry, self.load, Networks(proxies))
        connection = cast("type[LimitedProtocol]", protocol)
        config = uvicorn.Config(
            app,
            http=connection,
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=idle_seconds,
        )
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))

    @property
    def state(self) -> Any:
        return self._server.server_state

    @contextmanager
    def running(self) -> Iterator["Server"]:
        self._thread.start()
        try:
            while not self._server.started:
                time.sleep(0.01)
            yield self
        finally:
            self._server.should_exit = True
            self._thread.join(20)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def exchange(self, *parts: bytes) -> bytes:
        """Send the parts; all that is received until the server closes the connection."""
        with closing(self.connect()) as client:
            for part in parts:
                client.sendall(part)
            return read(client)


def read(client: socket.socket) -> bytes:
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def head(path: str = "/", method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def problem(response: bytes) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(response.partition(b"\r\n\r\n")[2])
    return document


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server().running() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("WAITING_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(protocol, name, 0.3)
    monkeypatch.setattr(protocol, "MIN_RATE", 1000)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)
    with Server().running() as running:
        yield running


UNFINISHED = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = head(method="POST", Transfer_Encoding="chunked")


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((head(X="a" * MAX_HEADER_BYTES),), id="one long header"),
        pytest.param((head("/" + "a" * MAX_HEADER_BYTES),), id="a long address"),
        pytest.param((UNFINISHED, b"X: a\r\n" * 20_000), id="many headers"),
        pytest.param((UNFINISHED, *[b"X-Name: " + b"a" * 60_000] * 20), id="a header without end"),
        pytest.param((UNFINISHED, *[b"X: a\r\n" * 5_000] * 20), id="headers without end"),
        pytest.param((b"GET /", *[b"a" * 60_000] * 20), id="an address without end"),
        pytest.param((CHUNKED, b"0\r\n", *[b"X: a\r\n" * 5_000] * 20), id="trailers without end"),
        pytest.param((CHUNKED, b"0\r\nX: ", *[b"a" * 60_000] * 20), id="a trailer without end"),
        pytest.param((CHUNKED, b"1;", *[b"a" * 60_000] * 20), id="a chunk's extension without end"),
    ],
)
def test_headers_over_the_limit_are_refused_with_431(
    server: Server, parts: tuple[bytes, ...]
) -> None:
    response = server.exchange(*parts)
    assert status(response) == 431
    assert problem(response)["detail"] == "Send at most 65,536 bytes of headers, with the address."


def test_request_that_is_no_http_is_refused_with_400(server: Server) -> None:
    assert status(server.exchange(b"\x16\x03\x01 GET\r\n\r\n")) == 400


def test_headers_within_the_limit_and_large_bodies_are_received(server: Server) -> None:
    long = "a" * (MAX_HEADER_BYTES - 200)
    request = head(method="POST", X=long, Content_Length="3000000", Connection="close")
    assert server.exchange(request, b"a" * 3_000_000).endswith(b"3000000")


@pytest.mark.parametrize("length", [1, 10, 4096])
def test_chunked_body_is_received_whatever_the_length_of_its_chunks(
    server: Server, length: int
) -> None:
    chunk = b"%x\r\n" % length + b"a" * length + b"\r\n"
    count = max(1, 200_000 // length)
    request = head(method="POST", Transfer_Encoding="chunked", Connection="close")
    response = server.exchange(request, chunk * count, b"0\r\n\r\n")
    assert response.endswith(str(length * count).encode())


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_early_response_reaches_a_client_that_still_sends(server: Server, connection: str) -> None:
    request = head("/early", "POST", Content_Length="20000000", Connection=connection)
    assert status(server.exchange(request, b"a" * 20_000_000)) == 200


def test_connection_is_kept_after_an_early_response_to_a_small_body(server: Server) -> None:
    with closing(server.connect()) as client:
        client.sendall(head("/early", "POST", Content_Length="5"))
        assert status(client.recv(65536)) == 200
        client.sendall(b"hello" + head(Connection="close"))
        assert status(read(client)) == 200


def test_second_request_is_limited_while_the_first_is_answered(server: Server) -> None:
    with closing(server.connect()) as client:
        client.sendall(head("/slow") + UNFINISHED)
        with pytest.raises(ConnectionError):
            client.sendall(b"X: " + b"a" * 50_000_000)


def test_few_requests_may_be_sent_at_once(server: Server) -> None:
    requests = head() * 5 + head(Connection="close")
    assert server.exchange(requests).count(b"200 OK") == 6
    assert server.exchange(head("/slow") + head() * 500) == b""


@pytest.fixture
def saturated(server: Server) -> Iterator[Server]:
    server.load.is_saturated = True
    yield server
    server.load.is_saturated = False


def test_refusals_while_saturated_keep_the_connection_and_the_order(saturated: Server) -> None:
    with closing(saturated.connect()) as client:
        client.sendall(head("/a", "POST", Content_Length="5"))
        assert status(client.recv(65536)) == 503  # before the body has arrived
        client.sendall(b"hello" + head("/b") + head("/c"))
        time.sleep(0.2)
        responses = client.recv(65536)
        assert responses.count(b"HTTP/1.1 503") == 2
        assert responses.index(b'"instance":"/b"') < responses.index(b'"instance":"/c"')
        saturated.load.is_saturated = False
        client.sendall(head("/d", "POST", Content_Length="5", Connection="close") + b"hello")
        assert read(client).endswith(b"\r\n\r\n5")


def test_few_refusals_are_sent_at_once_while_saturated(saturated: Server) -> None:
    requests = head(Origin="http://localhost") + head() * 500  # the app serves the first
    assert saturated.exchange(requests) == b""
    assert saturated.exchange(head() * 500).count(b"HTTP/1.1 503") <= MAX_PIPELINED
    assert saturated.exchange(head(Connection="close")).count(b"HTTP/1.1 503") == 1


def test_refused_connection_is_closed_at_once_if_the_client_asks_for_it(
    saturated: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "DRAINING_SECONDS", 60.0)
    with closing(saturated.connect()) as client:
        client.sendall(head(Connection="close"))
        assert status(read(client)) == 503
        until(lambda: not saturated.state.connections, within=5)  # a waiting one stays for 10 s


def test_answer_after_a_refusal_in_the_same_packet_is_not_cut_off() -> None:
    with Server(idle_seconds=0).running() as server, closing(server.connect()) as client:
        server.load.is_saturated = True
        client.sendall(head() + head("/slow", Origin="http://localhost"))
        responses = read(client)
    assert responses.count(b"HTTP/1.1 503") == 1
    assert responses.count(b"HTTP/1.1 200") == 1


def test_malformed_request_is_not_refused_in_place_of_the_one_before(server: Server) -> None:
    assert server.exchange(head("/slow"), head("http://host")) == b""


def test_refusals_while_saturated_reach_clients_that_still_send(saturated: Server) -> None:
    request = head("/", "POST", Content_Length="20000000")
    assert status(saturated.exchange(request, b"a" * 20_000_000)) == 503


class RecordingTransport(asyncio.Transport):
    """Keeps what is written; `unread` bytes of it have not been sent."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.written = b""
        self.unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass


async def test_client_that_does_not_read_is_left_to_the_app_which_can_wait() -> None:
    config = uvicorn.Config(app, log_config=None)
    config.load()
    refusals: list[str] = []
    limits = ConnectionRegistry(ConnectionLimits(1, 1), refusals.append)
    load = ChosenLoad(ConcurrencyLimit(1), 1.0, 1, refusals.append)
    load.is_saturated = True
    connection = LimitedProtocol(
        limits, load, config=config, server_state=ServerState(), app_state={}
    )
    transport = RecordingTransport()
    connection.connection_made(transport)
    connection.data_received(head())
    assert status(transport.written) == 503
    transport.written, transport.unread = b"", 1
    connection.data_received(head())
    assert not transport.written
    await asyncio.gather(*connection.tasks)
    assert status(transport.written) == 200
    assert refusals == ["overloaded"]
    connection.connection_lost(None)


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(UNFINISHED, id="headers"),
        pytest.param(head(method="POST", Content_Length="100000"), id="body"),
        pytest.param(CHUNKED, id="chunked body"),
    ],
)
def test_request_that_arrives_too_slowly_is_ended_with_408(
    impatient: Server, beginning: bytes
) -> None:
    begin = time.monotonic()
    with closing(impatient.connect()) as client:
        client.sendall(beginning)
        client.settimeout(0.05)
        received = b""
        while not received and time.monotonic() - begin < 5:
            client.sendall(b"1\r\na\r\n" if beginning == CHUNKED else b"a:b\r\n"[:5])
            try:
                received = client.recv(65536)
            except TimeoutError:
                continue
    assert status(received) == 408


def test_idle_connection_is_closed(impatient: Server) -> None:
    with closing(impatient.connect()) as client:
        assert is_closed(client)


def test_body_at_an_acceptable_rate_is_received(impatient: Server) -> None:
    with closing(impatient.connect()) as client:
        client.sendall(head(method="POST", Content_Length="10000", Connection="close"))
        for _ in range(10):
            client.sendall(b"a" * 1000)
            time.sleep(0.1)
        assert read(client).endswith(b"10000")


def test_slow_app_is_not_the_clients_fault(impatient: Server) -> None:
    assert status(impatient.exchange(head("/slow", Connection="close"))) == 200


def test_new_connection_replaces_the_one_that_waited_longest() -> None:
    with Server(total=5).running() as server, ExitStack() as stack:
        working, *idle = (stack.enter_context(closing(server.connect())) for _ in range(5))
        working.sendall(head("/slow", Connection="close"))
        time.sleep(0.1)
        assert status(server.exchange(head(Connection="close"))) == 200
        assert status(read(working)) == 200
        assert is_closed(idle[0])
        idle[3].sendall(head(Connection="close"))
        assert status(read(idle[3])) == 200
        assert server.refusals == ["connections"]


def test_connection_is_refused_while_all_others_are_served() -> None:
    with Server(total=3).running() as server, ExitStack() as stack:
        working = [stack.enter_context(closing(server.connect())) for _ in range(3)]
        for client in working:
            client.sendall(head("/slow", Connection="close"))
        time.sleep(0.2)
        refused = server.exchange()
        assert status(refused) == 503
        assert problem(refused)["type"].endswith("too-many-connections")
        assert [status(read(client)) for client in working] == [200] * 3
        assert status(server.exchange(head(Connection="close"))) == 200


def test_one_address_gets_its_share_of_connections_only() -> None:
    with Server(total=10, per_address=2).running() as server, closing(server.connect()):
        with closing(server.connect()):
            assert status(server.exchange()) == 503
        time.sleep(0.2)
        assert status(server.exchange(head(Connection="close"))) == 200
        assert server.refusals == ["address"]


def test_trusted_proxy_may_open_all_connections() -> None:
    limits = {"total": 10, "per_address": 1, "proxies": ["127.0.0.0/8"]}
    with Server(**limits).running() as server, closing(server.connect()):  # type: ignore[arg-type]
        assert status(server.exchange(head(Connection="close"))) == 200
        assert not server.refusals


def test_addresses_belong_to_networks() -> None:
    networks = Networks(["192.0.2.7", "10.0.0.0/8", "2001:db8::/32"])
    assert all(address in networks for address in ("192.0.2.7", "10.1.2.3", "2001:db8::1"))
    assert not any(address in networks for address in ("192.0.2.8", "2001:db9::1", "", "proxy"))


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_connections_are_counted_by_address_or_network(address: str, counted: str) -> None:
    assert client_of(address) == counted


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        pytest.param(1024, 1024, 1024 - 100 - 50 - OTHER_FILES, id="reduced"),
        pytest.param(256, 4096, 1000, id="limit raised"),
        pytest.param(64, 64, 1, id="nothing left"),
        pytest.param(4096, 4096, 1000, id="enough"),
    ],
)
def test_connections_fit_the_limit_of_open_files(soft: int, hard: int, expected: int) -> None:
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from inference_worker.http.server.connections import affordable_connections\n"
        "print(affordable_connections(1000, backlog=100, reserved=50))"
    )
    output = subprocess.check_output([sys.executable, "-c", code], cwd=PROJECT_ROOT, text=True)
    assert int(output) == expected
