"""Document changes as jobs: waiting, order, retries, and recovery after a crash."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import chromadb
import httpx
import pytest
from chromadb.errors import InternalError

from database.index.folder_owner import FolderOwner
from database.index.lock import LOCK, BuildLock
from database.index.rows import read_chunks
from database.index.store import INDEX_PREFIX, open_store
from database.journal.jobs import Job, Jobs
from database.journal.uploads import Uploads
from dataset.documents import read_document
from inference_worker.http.documents import change_queue
from tests.files.pages import PAGES, WordEmbeddings, builder, write_pages
from tests.servers.chroma import ChromaServer
from tests.servers.documents_service import (
    built,
    found,
    names,
    page,
    problem,
    serving,
    worker,
)
from tests.servers.service import until

pytestmark = pytest.mark.process

AT_ONCE = {"Prefer": "wait=0"}
VISIBLE_ELSEWHERE = 2.0


class GatedEmbeddings(WordEmbeddings):
    """Embeds pages only while the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.waiting.set()
        assert self.gate.wait(30)
        return super().embed_documents(texts)

    def load(self, fingerprint: object) -> Self:
        return self

    @contextmanager
    def closed(self) -> Iterator[None]:
        self.waiting.clear()
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()


@pytest.fixture(scope="module")
def gated() -> GatedEmbeddings:
    return GatedEmbeddings()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, gated: GatedEmbeddings
) -> Iterator[httpx.Client]:
    with serving(built(tmp_path_factory.mktemp("jobs")), gated.load) as client:
        yield client


def put(client: httpx.Client, name: str, word: str, **headers: str) -> httpx.Response:
    return client.put(f"/v1/documents/{name}", content=page(word), headers=headers)


def finished_job(client: httpx.Client, location: str) -> dict[str, Any]:
    """The job once it has finished; keeps polling while the store is unreachable."""
    body: dict[str, Any] = {}

    def is_finished() -> bool:
        nonlocal body
        response = client.get(location)
        assert response.status_code in (200, 503), response.text
        body = response.json()
        return response.status_code == 200 and body["state"] in ("done", "failed")

    until(is_finished, within=60)
    assert body["finished_at"]
    return body


def insert_job(database: str, name: str, word: str) -> str:
    """Insert a job as a service that crashed after accepting it would leave it."""
    with closing(open_store(database)) as store:
        job = Job.new("put")
        Uploads(store).add(job.id, [read_document(page(word), name)])
        Jobs(store).add(job)
        return job.id


# Waiting


def test_slow_change_is_a_job_that_can_be_polled(
    service: httpx.Client, gated: GatedEmbeddings
) -> None:
    with gated.closed():
        accepted = put(service, "slow.md", "zqslow", **AT_ONCE)
        assert accepted.status_code == 202
        location = accepted.headers["Location"]
        assert location == f"/v1/jobs/{accepted.json()['job']}"
        assert accepted.json()["state"] in ("queued", "running")
        assert gated.waiting.wait(10)
        assert "slow.md" not in found(service, "zqslow")
        assert service.get("/v1/documents/slow.md").status_code == 404

    body = finished_job(service, location)
    assert (body["state"], body["done"], body["total"]) == ("done", 1, 1)
    assert [d["outcome"] for d in body["documents"]] == ["added"]
    assert body["problem"] is None
    assert found(service, "zqslow")[0] == "slow.md"


@pytest.mark.parametrize(
    ("prefer", "least", "most"),
    [("wait=1", 0.9, 5.0), ("respond-async, wait=1", 0.9, 5.0), ("wait=0", 0.0, 3.0)],
)
def test_prefer_header_sets_the_wait(
    service: httpx.Client, gated: GatedEmbeddings, prefer: str, least: float, most: float
) -> None:
    with gated.closed():
        began = time.monotonic()
        response = put(service, "patience.md", f"zq{prefer}", Prefer=prefer)
        took = time.monotonic() - began
    assert response.status_code == 202
    assert least <= took <= most
    finished_job(service, response.headers["Location"])


def test_waiting_request_returns_when_the_job_is_done(
    service: httpx.Client, gated: GatedEmbeddings
) -> None:
    with ThreadPoolExecutor(1) as pool, gated.closed():
        waiting = pool.submit(put, service, "waited.md", "zqwaited", Prefer="wait=99999")
        assert gated.waiting.wait(10)
        assert not waiting.done()
        gated.gate.set()
        response = waiting.result(timeout=20)
    assert response.status_code == 201


def test_failed_job_reports_its_error(service: httpx.Client, gated: GatedEmbeddings) -> None:
    with gated.closed():
        put(service, "first.md", "zqfirst", **AT_ONCE)
        headers = {**AT_ONCE, "If-Match": '"other"'}
        unmet = put(service, "second.md", "zqsecond", **headers)
        absent = service.delete("/v1/documents/absent.md", headers=AT_ONCE)
        assert (unmet.status_code, absent.status_code) == (202, 202)
    for response, type_ in ((unmet, "precondition-failed"), (absent, "document-not-found")):
        body = finished_job(service, response.headers["Location"])
        assert body["state"] == "failed"
        assert body["problem"]["type"] == type_
        assert body["problem"]["detail"]
    assert service.get("/v1/documents/second.md").status_code == 404


@pytest.mark.parametrize(("failures", "state"), [(2, "done"), (3, "failed")])
def test_job_interrupted_by_the_store_is_retried_a_limited_number_of_times(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch, failures: int, state: str
) -> None:
    left = iter(range(failures))
    add = chromadb.Collection.add

    def failing(collection: chromadb.Collection, **given: Any) -> None:
        if collection.name.startswith(INDEX_PREFIX) and next(left, None) is not None:
            raise InternalError("database is locked")
        add(collection, **given)

    monkeypatch.setattr(chromadb.Collection, "add", failing)
    word = f"zqbroken{failures}"
    body = finished_job(service, put(service, f"{word}.md", word, **AT_ONCE).headers["Location"])

    assert body["state"] == state
    assert (f"{word}.md" in found(service, word)) is (state == "done")


def test_changes_are_applied_in_order_of_acceptance(
    service: httpx.Client, gated: GatedEmbeddings
) -> None:
    with gated.closed():
        jobs = [put(service, "order.md", f"zqorder{n}", **AT_ONCE) for n in range(4)]
    bodies = [finished_job(service, job.headers["Location"]) for job in jobs]
    outcomes = [body["documents"][0]["outcome"] for body in bodies]
    assert outcomes == ["added", "replaced", "replaced", "replaced"]
    assert [body["revision"] for body in bodies] == sorted(body["revision"] for body in bodies)
    assert "zqorder3" in service.get("/v1/documents/order.md").json()["text"]


def test_page_is_deleted_before_its_queued_next_version_is_added(
    service: httpx.Client, gated: GatedEmbeddings
) -> None:
    put(service, "again.md", "zqbefore")
    with gated.closed():
        put(service, "gate.md", f"zqgate{time.time()}", **AT_ONCE)
        assert gated.waiting.wait(10)
        deleting = service.delete("/v1/documents/again.md", headers=AT_ONCE)
        putting = put(service, "again.md", "zqafter", **AT_ONCE)
    assert finished_job(service, deleting.headers["Location"])["state"] == "done"
    assert finished_job(service, putting.headers["Location"])["documents"][0]["outcome"] == "added"
    assert found(service, "zqafter")[0] == "again.md"


def test_reads_are_served_while_a_page_is_embedded(
    service: httpx.Client, gated: GatedEmbeddings
) -> None:
    with gated.closed():
        put(service, "long.md", f"zqlong{time.time()}", **AT_ONCE)
        assert gated.waiting.wait(10)
        assert found(service, "spot training")
        assert service.get("/v1/documents").status_code == 200
        assert service.get("/readyz").status_code == 200


def test_concurrent_first_changes_are_all_accepted(tmp_path: Path) -> None:
    database = built(tmp_path, {"a.md": PAGES["training.md"]})
    with serving(database) as client, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(put, client, f"n{n}.md", f"zqn{n}") for n in range(8)]
        assert [future.result().status_code for future in asked] == [201] * 8


# Recovery by the next process


def test_queued_jobs_are_run_by_the_next_service_that_has_a_key(tmp_path: Path) -> None:
    database = built(tmp_path)
    ids = [insert_job(database, f"left{n}.md", f"zqleft{n}") for n in range(3)]
    with serving(database, admin_key=None) as client:
        time.sleep(0.5)
        for id_ in ids:
            assert client.get(f"/v1/jobs/{id_}").json()["state"] == "queued"
    with serving(database) as client:
        for id_ in ids:
            assert finished_job(client, f"/v1/jobs/{id_}")["state"] == "done"
        assert found(client, "zqleft1")[0] == "left1.md"


def test_next_worker_finishes_the_jobs_of_a_killed_one(tmp_path: Path) -> None:
    database = built(tmp_path)
    with worker(database, tmp_path / "worker.log", seconds=0.4) as (process, client):
        assert put(client, "before.md", "zqbefore").status_code == 201
        jobs = [put(client, f"kept{n}.md", f"zqkept{n}", **AT_ONCE) for n in range(5)]
        jobs.append(client.delete("/v1/documents/before.md", headers=AT_ONCE))
        assert [job.status_code for job in jobs] == [202] * 6
        until(lambda: client.get(jobs[0].headers["Location"]).json()["state"] == "done")
        process.kill()
        process.wait()

    with worker(database, tmp_path / "worker.log", seconds=0.0) as (_, client):
        bodies = [finished_job(client, job.headers["Location"]) for job in jobs]
        assert [body["state"] for body in bodies] == ["done"] * 6
        assert [d["outcome"] for body in bodies for d in body["documents"]] == [
            *["added"] * 5,
            "deleted",
        ]
        kept = [name for name in names(client) if name not in PAGES]
        assert kept == [f"kept{n}.md" for n in range(5)]
        for n in range(5):
            assert Counter(found(client, f"zqkept{n}"))[f"kept{n}.md"] == 1
    assert_each_row_once(database, kept)


def assert_each_row_once(database: str, names: list[str]) -> None:
    with closing(open_store(database)) as store:
        _, collection, fingerprint = store.live_collection()
        chunks = list(read_chunks(collection))
    rows = Counter(chunk.document for chunk in chunks if chunk.document in names)
    assert rows == dict.fromkeys(names, 1)
    assert fingerprint.chunks == len(chunks)


# Concurrent writers


def test_lock_of_another_process_on_the_folder_is_reported(tmp_path: Path) -> None:
    database = built(tmp_path)
    other = FolderOwner(database)  # locks the file, not the process
    other.claim()
    with serving(database) as client:
        refused = put(client, "a.md", "zqa")
        assert (refused.status_code, problem(refused)) == (409, "index-locked")
        assert client.get("/v1/documents/a.md").status_code == 404
        other.release()
        assert put(client, "a.md", "zqa").status_code == 201


def test_build_keeps_documents_added_and_omits_those_deleted_through_the_api(
    chroma: ChromaServer,
) -> None:
    with serving(chroma.url) as client:
        put(client, "mine.md", "zqmine")
        client.delete("/v1/documents/training.md")
        with closing(open_store(chroma.url)) as store:
            builder(store, chunk_size=40).build(chroma.folder.parent / "pages")
        until(lambda: client.get("/v1/documents").json()["revision"] > 3, within=5)
        assert "mine.md" in names(client)
        assert "training.md" not in names(client)
        assert found(client, "zqmine")[0] == "mine.md"


def test_uploaded_copy_of_a_folder_document_outlives_the_file(tmp_path: Path) -> None:
    database = built(tmp_path)
    with serving(database) as client:
        content = PAGES["training.md"]
        response = client.put("/v1/documents/training.md", content=content.encode())
        assert response.json()["documents"][0]["outcome"] == "unchanged"
        assert client.get("/v1/documents/training.md").json()["origin"] == "api"
    (tmp_path / "pages" / "training.md").unlink()
    with closing(open_store(database)) as store:
        builder(store).build(tmp_path / "pages")
    with serving(database) as client:
        assert client.get("/v1/documents/training.md").status_code == 200


def test_lock_of_a_build_that_died_on_another_machine_expires(
    chroma: ChromaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_queue, "HEARTBEAT_SECONDS", 0.2)
    with serving(chroma.url) as client, closing(open_store(chroma.url)) as store:
        build = {"owner": "x", "host": "elsewhere", "pid": 1, "born": "0"}
        build |= {"since": "yesterday", "purpose": "build"}
        lock = store.create_if_absent(LOCK, build | {"beat": "0"})
        assert lock
        try:
            for beat in range(8):
                lock.modify(metadata=build | {"beat": str(beat)})
                refused = put(client, "dead.md", "zqdead")
                assert (refused.status_code, problem(refused)) == (409, "index-locked")
                time.sleep(0.2)
            until(lambda: put(client, "dead.md", "zqdead", **AT_ONCE).status_code == 202)
            accepted = put(client, "dead.md", "zqdead", **AT_ONCE)
        finally:
            store.delete(LOCK)
        assert finished_job(client, accepted.headers["Location"])["state"] == "done"


def test_change_waits_for_the_lock_of_another_change(chroma: ChromaServer) -> None:
    with serving(chroma.url) as client, closing(open_store(chroma.url)) as store:
        with BuildLock(store, purpose="change"):
            waits = put(client, "patient.md", "zqpatient", **AT_ONCE)
            assert waits.status_code == 202
        assert finished_job(client, waits.headers["Location"])["state"] == "done"


def test_change_through_one_service_is_visible_in_another(chroma: ChromaServer) -> None:
    with serving(chroma.url) as one, serving(chroma.url) as other:
        for n in range(3):
            assert put(one, "shared.md", f"zqshared{n}").status_code in (200, 201)
            assert found(one, f"zqshared{n}")[0] == "shared.md"
            until(partial(shows, other, "shared.md", f"zqshared{n}"), VISIBLE_ELSEWHERE)
            assert found(other, f"zqshared{n}")[0] == "shared.md"
        assert one.delete("/v1/documents/shared.md").status_code == 200
        until(lambda: other.get("/v1/documents/shared.md").status_code == 404, VISIBLE_ELSEWHERE)
        assert "shared.md" not in found(other, "zqshared2")


def test_concurrent_changes_through_two_services_are_all_kept(chroma: ChromaServer) -> None:
    changes = 50
    with serving(chroma.url) as one, serving(chroma.url) as other, ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(
                put, (one, other)[n % 2], f"both/{n:02d}.md", f"zqboth{n}", Prefer="wait=60"
            )
            for n in range(changes)
        ]
        statuses = Counter(future.result().status_code for future in asked)
        assert statuses == {201: changes}
        expected = [f"both/{n:02d}.md" for n in range(changes)]
        for client in (one, other):
            until(lambda: names(client, prefix="both/") == expected, VISIBLE_ELSEWHERE)  # noqa: B023 - called at once
            for n in range(0, changes, 10):
                assert Counter(found(client, f"zqboth{n}"))[f"both/{n:02d}.md"] == 1
    assert_each_row_once(chroma.url, expected)


def shows(client: httpx.Client, name: str, word: str) -> bool:
    return word in client.get(f"/v1/documents/{name}").text


def test_store_outage_is_503_and_queued_jobs_finish_after_it(tmp_path: Path) -> None:
    gated = GatedEmbeddings()
    with ChromaServer(tmp_path / "server") as chroma:
        built(tmp_path, database=chroma.url)
        with serving(chroma.url, gated.load) as client:
            with gated.closed():
                accepted = put(client, "later.md", "zqlater", **AT_ONCE)
                assert gated.waiting.wait(10)
                chroma.kill()
            for refused in (
                put(client, "refused.md", "zqrefused"),
                client.delete("/v1/documents/training.md"),
                client.post("/v1/documents", files=[("files", ("refused.md", page("zqrefused")))]),
                client.get(accepted.headers["Location"]),
            ):
                assert (refused.status_code, problem(refused)) == (503, "store-unreachable")
                assert refused.headers["Retry-After"]
            chroma.start()
            assert finished_job(client, accepted.headers["Location"])["state"] == "done"
            until(lambda: client.get("/readyz").status_code == 200)
            assert found(client, "zqlater")[0] == "later.md"
            assert put(client, "refused.md", "zqrefused").status_code == 201


def test_waiting_request_returns_202_if_the_store_becomes_unreachable(tmp_path: Path) -> None:
    gated = GatedEmbeddings()
    with ChromaServer(tmp_path / "server") as chroma:
        built(tmp_path, database=chroma.url)
        with serving(chroma.url, gated.load) as client, ThreadPoolExecutor(1) as pool:
            with gated.closed():
                waiting = pool.submit(put, client, "later.md", "zqlater", Prefer="wait=4")
                assert gated.waiting.wait(10)
                chroma.kill()
            response = waiting.result(timeout=30)
            assert response.status_code == 202
            chroma.start()
            assert finished_job(client, response.headers["Location"])["state"] == "done"


def test_reads_are_served_while_another_model_is_loaded(tmp_path: Path) -> None:
    with ChromaServer(tmp_path / "server") as chroma:
        built(tmp_path, database=chroma.url)
        loading, go = threading.Event(), threading.Event()
        go.set()

        def load(fingerprint: object) -> WordEmbeddings:
            loading.set()
            assert go.wait(30)
            return WordEmbeddings()

        with serving(chroma.url, load) as client:
            loading.clear()
            go.clear()
            with closing(open_store(chroma.url)) as store:
                pages = write_pages(tmp_path / "pages")
                builder(store, model_revision="of another model").build(pages)
            try:
                assert loading.wait(10)
                began = time.monotonic()
                assert client.get("/v1/documents", timeout=3).status_code == 200
                assert client.get("/v1/documents/training.md", timeout=3).status_code == 200
                assert time.monotonic() - began < 2
            finally:
                go.set()
