"""A service that is told to stop answers what it has accepted, and then ends."""

import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.servers.documents_service import built
from utils.benchmark.processes import child, free_port, wait_until_ready

pytestmark = pytest.mark.process

BODY = b'{"query": "endpoint storage volume encrypted"}'
CONNECTIONS = 40


def begin(port: int, path: str) -> socket.socket:
    """Send a request without the end of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    connection.sendall(head.encode() + BODY[:-1])
    return connection


def test_requests_begun_before_sigterm_are_answered(tmp_path: Path) -> None:
    database, log, port = built(tmp_path), tmp_path / "log", free_port()
    command = [sys.executable, "-m", "tests.servers.documents_process", database, str(port), "0"]
    with child(command, log) as process:
        wait_until_ready(process, "service", log, f"http://127.0.0.1:{port}/readyz")
        connections = [begin(port, "/v1/search") for _ in range(CONNECTIONS)]
        time.sleep(0.5)  # until their headers are read

        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            begin(port, "/v1/search")
        for connection in connections:
            connection.sendall(BODY[-1:])
        responses = [connection.recv(65_536) for connection in connections]

        assert {response.split(b" ", 2)[1] for response in responses} == {b"200"}
        assert process.wait(30) in (0, -signal.SIGTERM)
    for connection in connections:
        connection.close()
