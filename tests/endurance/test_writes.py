"""The endurance run's checks of responses to its changes."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.model import Model
from tests.endurance.checker.violations import JOB, WRONG
from tests.endurance.checker.windows import Windows
from tests.endurance.load.visibility import VisibilityWatcher
from tests.endurance.load.writes import Writes
from tests.endurance.system.client import Client
from tests.endurance.system.processes import Service, System
from utils.benchmark.processes import BenchmarkRun

NAME = "live/page.md"


class Worker:
    """Accepts each change with 202; its job then has the status in `ends`."""

    def __init__(self) -> None:
        self.ends: dict[str, Any] = {}

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=self.ends)
        return httpx.Response(202, json={"job": "1", "state": "queued"})


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def writes(worker: Worker, tmp_path: Path) -> AsyncIterator[Writes]:
    checker = Checker(Model(Windows()))
    service = Service("first", (), "http://worker.test", "/readyz", tmp_path, process_id=1)
    run = BenchmarkRun("", "", "", "", "", "")
    system = System(run, checker.model.windows, None, [service])
    async with httpx.AsyncClient(transport=httpx.MockTransport(worker.respond)) as http:
        client = Client(http)
        watcher = VisibilityWatcher(client, checker, system, random.Random(0), filters=False)
        yield Writes(client, checker, system, watcher)


@pytest.mark.parametrize(
    ("ends", "kinds"),
    [
        ({"state": "failed", "problem": {"type": "document-not-found"}}, []),
        ({"state": "failed", "problem": {"type": "internal"}}, [JOB]),
        ({"state": "done", "problem": None}, [WRONG]),
    ],
)
async def test_accepted_deletion_of_a_missing_document_must_fail_with_not_found(
    worker: Worker, writes: Writes, ends: dict[str, Any], kinds: list[str]
) -> None:
    worker.ends = ends
    document = writes.checker.model.add(NAME)

    await writes.delete_missing(writes.system.up[0], document)

    assert [violation.kind for violation in writes.checker.violations] == kinds
