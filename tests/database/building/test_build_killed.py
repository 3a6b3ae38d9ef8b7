"""A build killed at any moment and repeated gives the same index as an uninterrupted one."""

import random
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import open_store
from tests.database.index.reading import Contents, contents
from tests.files.pages import builder, many_pages, write_pages
from tests.servers.chroma import ChromaServer
from utils.errors import IndexMissingError
from utils.settings import PROJECT_ROOT

pytestmark = pytest.mark.process

KILLS = 5
PAGES = 160
SEED = 20260115


def start_build(folder: Path, database: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.database.building.build_process", str(folder), database],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish_build(folder: Path, database: str) -> None:
    build = start_build(folder, database)
    _, errors = build.communicate(timeout=120)
    assert build.returncode == 0, errors


def kill_builds(folder: Path, database: str, kills: int = KILLS) -> None:
    rng = random.Random(SEED)
    for _ in range(kills):
        build = start_build(folder, database)
        time.sleep(rng.uniform(1.0, 3.5))
        build.kill()
        build.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pages(tmp_path_factory.mktemp("killed") / "pages", many_pages(PAGES))


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    with closing(open_store(str(tmp_path_factory.mktemp("whole")), create=True)) as store:
        builder(store).build(folder)
        return contents(store)


def finish_and_compare(folder: Path, database: str, expected: Contents) -> None:
    finish_build(folder, database)

    with closing(open_store(database)) as store:
        found = contents(store)
    assert found.rows == expected.rows
    assert found.lowest_cosine(expected) >= 0.9999


def test_embedded_build_killed_and_run_again_is_the_same(
    folder: Path, uninterrupted: Contents, tmp_path: Path
) -> None:
    database = str(tmp_path / "index")
    kill_builds(folder, database)
    finish_and_compare(folder, database, uninterrupted)


def test_build_into_a_server_killed_and_run_again_is_the_same(
    folder: Path, uninterrupted: Contents, chroma_server: ChromaServer
) -> None:
    kill_builds(folder, chroma_server.url)
    finish_and_compare(folder, chroma_server.url, uninterrupted)


def test_server_killed_during_a_build_loses_nothing(
    folder: Path, uninterrupted: Contents, chroma_server: ChromaServer
) -> None:
    rng = random.Random(SEED)
    build = start_build(folder, chroma_server.url)
    while build.poll() is None:
        time.sleep(rng.uniform(0.5, 2.0))
        chroma_server.kill()
        chroma_server.start()
        if build.poll() is None and rng.random() < 0.3:
            break
    _, errors = build.communicate(timeout=120)

    assert build.returncode in (0, 1), errors
    finish_and_compare(folder, chroma_server.url, uninterrupted)


def test_reader_never_sees_part_of_an_index(folder: Path, tmp_path: Path) -> None:
    """While builds are killed and repeated, each read finds the complete old or new index."""
    database = str(tmp_path / "index")
    small = write_pages(tmp_path / "small", many_pages(5))
    with closing(open_store(database, create=True)) as first:
        builder(first).build(small)
    seen: list[int] = []
    stop = threading.Event()

    def check_live() -> None:
        with closing(open_store(database)) as store:
            while not stop.is_set():
                _, collection, fingerprint = store.live_collection()
                count = collection.count()
                seen.append(count if count == fingerprint.chunks else -1)
                time.sleep(0.02)

    reader = threading.Thread(target=check_live)
    reader.start()
    kill_builds(folder, database)
    finish_build(folder, database)
    time.sleep(0.2)
    stop.set()
    reader.join()

    assert set(seen) == {5 * 8, PAGES * 8}
    assert seen == sorted(seen)


def test_first_build_is_invisible_until_complete(folder: Path, tmp_path: Path) -> None:
    database = str(tmp_path / "index")
    kill_builds(folder, database, kills=1)

    with pytest.raises(IndexMissingError):
        open_store(database).live_collection()
