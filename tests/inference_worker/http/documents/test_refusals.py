"""Changes that cannot be made now: the response and the job state the true reason."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import chromadb
import httpx
import psutil
import pytest
from chromadb.errors import InternalError

from database.changing import job_runner
from database.index.folder_owner import FolderOwner
from database.index.isolation import isolated_store
from database.index.lock import LOCK, BuildLock
from database.index.store import INDEX_PREFIX, open_store
from tests.files.pages import WordEmbeddings
from tests.servers.documents_service import built, found, page, problem, serving
from tests.servers.service import until
from utils.errors import IndexLockedError, StoreProcessError
from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(tmp_path_factory.mktemp("refusals"))


@pytest.fixture
def service(database: str) -> Iterator[httpx.Client]:
    with serving(database, isolated=True) as client:
        yield client


def put(client: httpx.Client, name: str, **headers: str) -> httpx.Response:
    return client.put(
        f"/v1/documents/{name}.md", content=page(f"zq{name}", f"{time.time()}"), headers=headers
    )


def test_change_without_room_is_507_and_names_the_megabytes_to_free(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(service, "before").status_code == 201
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1_000_000))
        for response in (
            put(service, "refused"),
            service.delete("/v1/documents/before.md"),
            service.delete("/v1/documents/before.md", params={"purge": "true"}),
            service.post("/v1/documents", files=[("files", ("a.md", page("zqa")))]),
        ):
            assert (response.status_code, problem(response)) == (507, "disk-full")
            assert re.search(r"free \d MB", response.json()["detail"])
        assert found(service, "zqbefore")[0] == "before.md"
    assert put(service, "refused").status_code == 201


def test_disk_that_fills_up_during_a_job_ends_it_with_that_reason(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = chromadb.Collection.add

    def full(collection: chromadb.Collection, **given: Any) -> None:
        if collection.name.startswith(INDEX_PREFIX):
            raise InternalError("error returned from database: (code: 13) disk is full")
        add(collection, **given)

    with monkeypatch.context() as patch:
        patch.setattr(chromadb.Collection, "add", full)
        refused = put(service, "midway", Prefer="wait=30")
    assert (refused.status_code, problem(refused)) == (507, "disk-full")
    assert "free 5 MB" in refused.json()["detail"]
    assert found(service, "zqmidway")[:1] != ["midway.md"]
    assert put(service, "midway").status_code == 201


def test_job_that_hangs_in_the_store_each_time_ends_as_failed(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = chromadb.Collection.add
    tries = []

    def hanging(collection: chromadb.Collection, **given: Any) -> None:
        if collection.name.startswith(INDEX_PREFIX):
            tries.append(1)
            raise StoreProcessError("It hung.", detail="The process that writes the index hung.")
        add(collection, **given)

    with monkeypatch.context() as patch:
        patch.setattr(chromadb.Collection, "add", hanging)
        failed = put(service, "stuck", Prefer="wait=60")
    assert (failed.status_code, problem(failed)) == (503, "store-unreachable")
    assert failed.json()["detail"] == "The process that writes the index hung."
    assert len(tries) == 3
    assert put(service, "stuck").status_code == 201


def test_store_that_hangs_is_ended_and_the_change_is_made(
    service: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_store, "HANG_SECONDS", 1.0)
    accepted = put(service, "hanging", Prefer="wait=0")
    assert accepted.status_code in (201, 202)
    for child in psutil.Process().children():
        if "database.index.isolation.store_process" in child.cmdline():
            child.suspend()
    for _ in range(5):
        assert found(service, "spot training")
        assert service.get("/healthz").status_code == 200
    until(lambda: "hanging.md" in found(service, "zqhanging"), within=60)


def test_change_behind_a_job_that_makes_no_progress_is_refused_with_that_reason(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "MAX_SILENT_SECONDS", 1.0)
    waiting, go = threading.Event(), threading.Event()

    def hang(texts: list[str]) -> None:
        waiting.set()
        assert go.wait(60)

    with serving(database, lambda fingerprint: WordEmbeddings(before=hang)) as client:
        try:
            put(client, "endless", Prefer="wait=0")
            assert waiting.wait(30)
            assert put(client, "behind", Prefer="wait=0").status_code == 202
            time.sleep(1.1)
            refused = put(client, "late")
            assert (refused.status_code, problem(refused)) == (409, "index-locked")
            assert "A change has made no progress for" in refused.json()["detail"]
        finally:
            go.set()
        until(lambda: "behind.md" in found(client, "zqbehind"), within=60)
        assert put(client, "late").status_code == 201


# Other writers


def test_second_service_of_an_index_folder_names_the_first(
    database: str, service: httpx.Client
) -> None:
    assert put(service, "first").status_code == 201
    other = FolderOwner(database)
    with pytest.raises(IndexLockedError) as refused:
        other.claim()
    assert "Another service changes this index" in refused.value.detail
    assert database not in refused.value.detail


def test_change_during_a_build_names_its_start(database: str, service: httpx.Client) -> None:
    with closing(open_store(database)) as store, BuildLock(store):
        refused = put(service, "during")
    assert (refused.status_code, problem(refused)) == (409, "index-locked")
    assert "A build has been writing the index since 20" in refused.json()["detail"]
    assert put(service, "during").status_code == 201


_DYING_BUILD = """
import os, sys
from database.index.lock import BuildLock
from database.index.store import open_store
BuildLock(open_store(sys.argv[1])).__enter__()
os._exit(1)
"""


def test_lock_of_a_build_that_died_here_does_not_refuse_a_change(
    database: str, service: httpx.Client
) -> None:
    command = [sys.executable, "-c", _DYING_BUILD, database]
    subprocess.run(command, cwd=PROJECT_ROOT, check=False, timeout=60)
    with closing(open_store(database)) as store:
        assert store.find(LOCK) is not None
    assert put(service, "after", Prefer="wait=30").status_code == 201
