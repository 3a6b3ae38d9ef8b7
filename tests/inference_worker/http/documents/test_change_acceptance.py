"""Document changes whose acceptance fails, and locks of builds on other machines."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import chromadb
import httpx
import pytest
from chromadb.errors import InternalError

from database.index.lock import LOCK, BuildLock
from database.index.store import Store, open_store
from database.journal.jobs import JOBS, Jobs
from database.journal.uploads import UPLOADS, Uploads
from inference_worker.http.documents import change_queue
from tests.servers.chroma import ChromaServer
from tests.servers.documents_service import built, found, page, serving
from tests.servers.service import until

pytestmark = pytest.mark.process

ELSEWHERE = {"owner": "x", "host": "elsewhere", "pid": 1, "born": "?", "since": "yesterday"}
WRITES = [(JOBS, "add"), (UPLOADS, "upsert"), (JOBS, "upsert")]
"""The writes that accept a change, in order."""


@pytest.fixture
def store(chroma: ChromaServer) -> Iterator[Store]:
    with closing(open_store(chroma.url)) as opened:
        yield opened


def put(client: httpx.Client, word: str) -> httpx.Response:
    headers = {"Prefer": "wait=0"}
    return client.put(f"/v1/documents/{word}.md", content=page(word), headers=headers)


def failing(
    monkeypatch: pytest.MonkeyPatch, at: tuple[str, str], error: Exception, *, arrives: bool
) -> list[Callable[[], None]]:
    """Make one write to the store raise; the data is written before that, later or never."""
    name, method = at
    write = getattr(chromadb.Collection, method)
    left = [error]
    withheld: list[Callable[[], None]] = []

    def fail(collection: chromadb.Collection, **given: Any) -> None:
        fails = collection.name == name and bool(left)
        if arrives or not fails:
            write(collection, **given)
        if fails:
            withheld.append(partial(write, collection, **given))
            raise left.pop()

    monkeypatch.setattr(chromadb.Collection, method, fail)
    return withheld


def jobs_of(store: Store) -> list[str]:
    return list(store.get_or_create(JOBS).get()["ids"])


@pytest.mark.parametrize(
    ("at", "error", "arrives"),
    [
        *(
            (write, error, False)
            for write in WRITES
            for error in (InternalError("full"), OSError())
        ),
        *((write, httpx.ReadTimeout(""), True) for write in WRITES[:2]),
    ],
)
def test_failed_acceptance_leaves_no_job_and_no_upload(
    at: tuple[str, str],
    error: Exception,
    arrives: bool,
    chroma: ChromaServer,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(chroma.url) as client:
        before = jobs_of(store)
        with BuildLock(store, purpose="change"):  # keeps other writers from cleaning up
            failing(monkeypatch, at, error, arrives=arrives)
            status = put(client, "zqhalf").status_code
            monkeypatch.undo()

            assert status == (500 if isinstance(error, OSError) else 503)
            assert jobs_of(store) == before
            assert Uploads(store).of_document("zqhalf.md") == []


@pytest.mark.parametrize(
    ("error", "arrives"),
    [(InternalError("?"), True), (httpx.ReadTimeout(""), True), (httpx.ReadTimeout(""), False)],
)
def test_change_is_made_if_its_acceptance_was_written_despite_the_error(
    error: Exception,
    arrives: bool,
    chroma: ChromaServer,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = f"zqlost{type(error).__name__.lower()}{int(arrives)}"
    with serving(chroma.url) as client:
        with BuildLock(store, purpose="change"):
            withheld = failing(monkeypatch, WRITES[-1], error, arrives=arrives)
            assert put(client, word).status_code == 503
            monkeypatch.undo()
            if not arrives:
                withheld[0]()  # the write arrives late
            assert len(Jobs(store).unfinished()) == 1
        until(lambda: not Jobs(store).unfinished())
        until(lambda: found(client, word)[0] == f"{word}.md")


def test_acceptance_error_is_returned_even_if_cleanup_fails(
    chroma: ChromaServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(chroma.url) as client, BuildLock(store, purpose="change"):
        failing(monkeypatch, WRITES[1], httpx.ReadTimeout(""), arrives=False)
        failing(monkeypatch, (JOBS, "delete"), OSError(), arrives=False)
        response = put(client, "zqtold")
        monkeypatch.undo()

    assert response.json()["type"].endswith("store-unreachable")


def test_change_is_ordered_after_one_from_a_clock_in_the_future(
    chroma: ChromaServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(chroma.url) as client:
        with BuildLock(store, purpose="change"):
            with monkeypatch.context() as patch:
                patch.setattr("database.journal.jobs.utc_now", lambda: "2126-03-01T09:30:05.000Z")
                first = put(client, "zqclock").json()
            second = put(client, "zqclock").json()
            waiting = [job.id for job in Jobs(store).unfinished()]
        until(lambda: not Jobs(store).unfinished())

    assert waiting == [first["job"], second["job"]]
    assert second["created_at"] == "2126-03-01T09:30:05.001Z"


def test_store_outage_does_not_count_as_missed_heartbeats_of_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_queue, "HEARTBEAT_SECONDS", 0.3)
    with ChromaServer(tmp_path / "server") as chroma:
        built(tmp_path, database=chroma.url)
        with serving(chroma.url) as client, closing(open_store(chroma.url)) as store:
            store.create_if_absent(LOCK, ELSEWHERE | {"purpose": "build", "beat": "1"})
            assert put(client, "zqaway").status_code == 409
            chroma.kill()
            time.sleep(1)
            chroma.start()
            until(lambda: client.get("/readyz").status_code == 200)

            assert put(client, "zqaway").status_code == 409
            until(lambda: put(client, "zqaway").status_code == 202)
            store.delete(LOCK)
            until(lambda: not Jobs(store).unfinished())
