"""On SIGTERM, the service answers the requests that it has accepted, and then exits."""

import signal
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.servers.documents_service import built, worker
from tests.servers.service import RawConnection

pytestmark = pytest.mark.process

BODY = '{"query": "endpoint storage volume encrypted"}'
CONNECTIONS = 40


def begin(client: httpx.Client) -> RawConnection:
    """Send a request without the end of its body."""
    connection = RawConnection(client)
    connection.send(
        "POST /v1/search HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(BODY)}",
        "",
        BODY[:-1],
    )
    return connection


def test_requests_begun_before_sigterm_are_answered(tmp_path: Path) -> None:
    with worker(built(tmp_path), tmp_path / "log") as (process, client), ExitStack() as opened:
        connections = [opened.enter_context(begin(client)) for _ in range(CONNECTIONS)]
        time.sleep(0.5)  # until their headers are read

        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            begin(client)
        for connection in connections:
            connection.send(BODY[-1:])

        assert {connection.status() for connection in connections} == {200}
        assert process.wait(30) in (0, -signal.SIGTERM)
