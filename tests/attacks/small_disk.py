"""A small disk that fills up, and a service on it that is watched meanwhile."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers.documents_service import worker

MAX_SECONDS = 5.0
"""No search and no /healthz may take longer, while the disk is full too."""


class SmallDisk:
    """A mounted disk of a few megabytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    @property
    def free(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Fill the disk with another program's file, except for the bytes to leave."""
        with self._ballast.open("ab") as file:
            file.write(bytes(max(0, self.free - leave)))

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def grow(self, megabytes: int) -> None:
        command = ["mount", "-o", f"remount,size={megabytes}m", str(self.path)]
        subprocess.run(command, check=True)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk; skips the test where that is not allowed."""
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
    try:
        mounted = subprocess.run(["mount", *options, str(path)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if mounted.returncode:
        pytest.skip("only root can mount a small disk, and not in every container")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class Watch:
    """Searches and asks for /healthz all the time; `problems` has what was not as it must be."""

    def __init__(self, url: str, query: str) -> None:
        self.problems: list[str] = []
        self.answers = 0
        self._url, self._query = url, query
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=MAX_SECONDS) as client:
            while not self._ending.wait(0.2):
                for method, path in (("POST", "/v1/search"), ("GET", "/healthz")):
                    body = {"query": self._query} if method == "POST" else None
                    try:
                        response = client.request(method, path, json=body)
                        fine = response.status_code == 200
                        fine = fine and (method == "GET" or bool(response.json()["passages"]))
                        how = f"{response.status_code} {response.text[:200]}"
                    except httpx.HTTPError as error:
                        fine, how = False, type(error).__name__
                    self.answers += fine
                    if not fine:
                        self.problems.append(f"{path} at {time.time():.1f}: {how}")


@contextmanager
def watched_service(database: str, log: Path, query: str) -> Iterator[tuple[httpx.Client, Watch]]:
    """Serve an index in a process of its own, and watch it."""
    with worker(database, log) as (_, client):
        client.timeout = 90
        with Watch(str(client.base_url), query) as watch:
            yield client, watch
