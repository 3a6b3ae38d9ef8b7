"""A real Chroma server in a separate process that tests can kill and restart."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import httpx

from utils.benchmark.processes import free_port

_CHROMA = "import sys, chromadb_rust_bindings as chroma; chroma.cli(sys.argv)"
"""Equivalent to the command `chroma`, without the second for importing Chroma's client."""


class ChromaServer:
    """`chroma run` on a folder and a port that restarts keep."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        arguments = ["run", "--path", str(self.folder), "--host", self.host]
        arguments += ["--port", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHROMA, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.url}/api/v2/heartbeat", trust_env=False).raise_for_status()
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "the Chroma server did not start"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Kill with SIGKILL, like a machine failure."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
