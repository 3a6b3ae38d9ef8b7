"""An embedded store in a child process, which is replaced when it dies or hangs."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from chromadb.errors import NotFoundError

from database.index.isolation import isolated_store
from database.index.store import Store, open_store
from tests.files.pages import PAGES, builder, write_pages
from tests.servers.service import until
from utils.errors import IndexDamagedError, StoreProcessError
from utils.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from chromadb import Collection

pytestmark = pytest.mark.process


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(str(tmp_path / "index"), create=True, isolated=True)) as opened:
        yield opened


def processes(parent: int | None = None) -> list[psutil.Process]:
    """The store processes of a process, by default of this one."""
    return [child for child in psutil.Process(parent).children() if serves_a_store(child)]


def serves_a_store(child: psutil.Process) -> bool:
    try:
        return "database.index.isolation.store_process" in child.cmdline()
    except psutil.Error:  # it has just ended
        return False


def process(parent: int | None = None) -> psutil.Process:
    (only,) = processes(parent)
    return only


def filled(store: Store) -> "Collection":
    collection = store.create("kilns", {"fired": 1})
    collection.add(
        ids=["a", "b"],
        embeddings=np.eye(2, dtype=np.float32),
        documents=["clay", "glaze"],
        metadatas=[{"cone": 6}, {"cone": 10}],
    )
    return collection


def test_results_are_those_of_a_store_in_this_process(store: Store) -> None:
    collection = filled(store)
    assert collection.count() == 2
    found = collection.get(ids=["b"], include=["documents", "metadatas", "embeddings"])
    assert (found["documents"], found["metadatas"]) == (["glaze"], [{"cone": 10}])
    assert np.array_equal(np.asarray(found["embeddings"]), [[0.0, 1.0]])
    assert collection.query(query_embeddings=np.array([[1.0, 0.1]], dtype=np.float32), n_results=1)[
        "ids"
    ] == [["a"]]
    collection.modify(name="ovens", metadata={"fired": 2})
    assert [(c.name, c.metadata) for c in store.client.list_collections()] == [
        ("ovens", {"fired": 2})
    ]
    collection.delete(where={"cone": 6})
    assert collection.get(include=[])["ids"] == ["b"]


def test_errors_of_chroma_arrive_as_they_are(store: Store) -> None:
    assert store.find("absent") is None
    with pytest.raises(NotFoundError):
        store.client.get_collection("absent")
    filled(store)
    with pytest.raises(IndexDamagedError):
        store.create("kilns", {"again": 1})


def test_index_is_built_and_read_through_it(store: Store, tmp_path: Path) -> None:
    builder(store).build(write_pages(tmp_path / "pages"))
    _, collection, fingerprint = store.live_collection()
    assert fingerprint.documents == len(PAGES)
    assert collection.count() == fingerprint.chunks


def test_damaged_store_is_reported_when_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        open_store(str(tmp_path), isolated=True)
    assert not processes()


def test_killed_process_is_replaced_at_the_next_call(store: Store) -> None:
    collection = filled(store)
    killed = process()
    killed.kill()
    with suppress(StoreProcessError):  # its end is noticed in the background
        collection.count()
    assert collection.count() == 2
    assert process() != killed


def test_call_fails_if_the_process_dies_during_it(store: Store) -> None:
    collection = filled(store)
    process().suspend()
    with ThreadPoolExecutor(1) as threads:
        counting = threads.submit(collection.count)
        process().kill()
        with pytest.raises(StoreProcessError, match="ended with status -9"):
            counting.result(timeout=10)


def test_hanging_process_is_ended_and_replaced_with_one_line_in_the_log(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(isolated_store, "HANG_SECONDS", 1.5)
    collection = filled(store)
    hanging = process().pid
    os.kill(hanging, signal.SIGSTOP)
    with caplog.at_level(logging.ERROR), ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(collection.count) for _ in range(4)]
        for call in calls:
            with pytest.raises(StoreProcessError, match="hung in count and was ended"):
                call.result(timeout=20)
    assert collection.count() == 2
    assert [process().pid != hanging, len(caplog.records)] == [True, 1]


def test_slow_call_is_not_taken_for_a_hanging_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = store.create("many", {"fired": 1})
    monkeypatch.setattr(isolated_store, "HANG_SECONDS", 0.9)
    vectors = np.random.default_rng(1).random((5000, 384)).astype(np.float32)
    began = time.monotonic()
    collection.add(ids=[str(n) for n in range(5000)], embeddings=vectors, documents=["clay"] * 5000)
    assert time.monotonic() - began > 1.0
    assert collection.count() == 5000


def test_process_ends_when_the_store_is_closed(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "index"), create=True, isolated=True)) as store:
        collection = filled(store)
        assert len(processes()) == 1
    until(lambda: not processes())
    with pytest.raises((StoreProcessError, AttributeError)):
        collection.count()


def test_process_ends_with_a_killed_parent_even_while_it_hangs(tmp_path: Path) -> None:
    code = (
        "import sys; from database.index.store import open_store\n"
        "store = open_store(sys.argv[1], create=True, isolated=True)\n"
        "print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "index")],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"open\n"
        child = process(parent.pid)
        child.suspend()
        parent.kill()
    until(lambda: not serves_a_store(child))
