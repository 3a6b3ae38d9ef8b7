"""Twenty full disks: searches go on, changes are refused with the reason, and nothing is lost."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from database.index.disk_space import RESERVE_BYTES
from database.index.store import Store, open_store
from database.snapshot.catalogue import find_snapshot
from database.snapshot.pull import pull
from database.snapshot.push import push
from database.snapshot.storage import Storage
from dataset.progress import Progress, ignore_progress
from tests.attacks.small_disk import SmallDisk, small_disk, watched_service
from tests.files.pages import builder, many_pages, write_pages
from tests.servers.chroma import ChromaServer
from tests.servers.documents_service import built, page, problem
from tests.servers.service import until
from utils.errors import DiskFullError

pytestmark = pytest.mark.process

QUERY = "endpoint storage volume encrypted"
ADVICE = re.compile(r"free \d+ MB")
LINE = "Glazes melt at cone 6 in a kiln that fires clay slowly. " * 30
MAX_PUTS = 80


def sizes(few: list[int], many: list[int]) -> list[object]:
    """Sizes of disks in megabytes, those of `make test` and those of `make attack`."""
    return [*few, *(pytest.param(size, marks=pytest.mark.long) for size in many)]


def put(client: httpx.Client, number: int) -> httpx.Response:
    content = page(f"zqfull{number}", *[LINE] * 24)
    headers = {"Prefer": "wait=60"}
    return client.put(f"/v1/documents/full/{number}.md", content=content, headers=headers)


def assert_refused(response: httpx.Response) -> None:
    assert (response.status_code, problem(response)) == (507, "disk-full")
    assert ADVICE.search(response.json()["detail"])


def assert_kept(client: httpx.Client, accepted: list[int]) -> None:
    for number in accepted:
        text = client.get(f"/v1/documents/full/{number}.md").json()["text"]
        assert f"zqfull{number}" in text


def assert_resumes(client: httpx.Client, accepted: list[int]) -> None:
    """Once there is room, changes are accepted without a restart, and none is missing."""
    until(lambda: put(client, 1000).status_code in (200, 201), within=90)
    assert_kept(client, [*accepted, 1000])


def free_log(log: Path) -> None:
    """No line of the log advises to restore or to move an index that is intact."""
    text = log.read_text()
    assert "Restore it" not in text, text
    assert "Traceback" not in text, text


# Changes


@pytest.mark.parametrize("megabytes", sizes([9], [6, 7, 8, 12, 20, 30]))
def test_changes_fill_the_disk(tmp_path: Path, megabytes: int) -> None:
    with small_disk(tmp_path / "disk", megabytes) as disk:
        database, log = built(disk.path), tmp_path / "log"
        with watched_service(database, log, QUERY) as (client, watch):
            accepted = []
            for number in range(MAX_PUTS):
                response = put(client, number)
                if response.status_code != 201:
                    break
                accepted.append(number)
            assert_refused(response)
            assert_kept(client, accepted)
            disk.grow(64)
            assert_resumes(client, accepted)
            assert watch.problems == []
        free_log(log)


@pytest.mark.parametrize("megabytes", sizes([12], [9, 16, 24, 30]))
def test_another_program_fills_the_disk_during_changes(tmp_path: Path, megabytes: int) -> None:
    with small_disk(tmp_path / "disk", megabytes) as disk:
        database, log = built(disk.path), tmp_path / "log"
        with watched_service(database, log, QUERY) as (client, watch):
            accepted = [number for number in range(3) if put(client, number).status_code == 201]
            later = fill_during_a_change(client, disk, 100)
            assert_refused(put(client, 3))
            assert_kept(client, accepted)
            disk.empty()
            disk.grow(64)
            until(lambda: is_settled(client, later), within=120)
            assert_resumes(client, accepted)
            assert watch.problems == []
        free_log(log)


def fill_during_a_change(client: httpx.Client, disk: SmallDisk, number: int) -> httpx.Response:
    """Fill the disk when a change has been accepted, before it is written."""
    content = page(f"zqfull{number}", *[LINE] * 24)
    accepted = client.put(
        f"/v1/documents/full/{number}.md", content=content, headers={"Prefer": "wait=0"}
    )
    disk.fill(leave=100_000)
    return accepted


def is_settled(client: httpx.Client, response: httpx.Response) -> bool:
    """An accepted change is done, or has failed for the true reason."""
    if response.status_code in (200, 201):
        return True
    if response.status_code == 507:
        return True
    assert response.status_code == 202, response.text
    job = client.get(response.headers["Location"]).json()
    if job["state"] == "failed":
        assert job["problem"]["type"] == "disk-full", job
        assert ADVICE.search(job["problem"]["detail"])
    return bool(job["state"] in ("done", "failed"))


@pytest.mark.long
def test_disk_of_the_chroma_server_is_full(tmp_path: Path) -> None:
    """Such a server must be restarted; the service must not, and nothing is lost."""
    with (
        small_disk(tmp_path / "disk", 12) as disk,
        ChromaServer(disk.path / "chroma") as server,
    ):
        database, log = built(tmp_path, database=server.url), tmp_path / "log"
        with watched_service(database, log, QUERY) as (client, watch):
            accepted = [number for number in range(2) if put(client, number).status_code == 201]
            disk.fill()
            refused = put(client, 2)
            assert (refused.status_code, problem(refused)) == (507, "disk-full")
            assert "restart" in refused.json()["detail"]
            disk.empty()
            disk.grow(64)
            server.kill()
            server.start()
            assert_resumes(client, accepted)
            assert [each for each in watch.problems if "/healthz" in each] == []
        free_log(log)


# Builds


@pytest.mark.parametrize("megabytes", sizes([8], [6, 12, 16]))
def test_build_fills_the_disk_and_resumes(tmp_path: Path, megabytes: int) -> None:
    with small_disk(tmp_path / "disk", megabytes) as disk:
        database = built(disk.path)
        pages = write_pages(tmp_path / "pages", many_pages(megabytes * 45))
        with watched_service(database, tmp_path / "log", QUERY) as (_, watch):
            with pytest.raises(DiskFullError, match=ADVICE):
                build(database, pages)
            assert disk.free > RESERVE_BYTES // 4
            disk.grow(400)
            assert watch.problems == []
        assert build(database, pages) == megabytes * 45


@pytest.mark.long
def test_another_program_fills_the_disk_during_a_build(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 30) as disk:
        database = built(disk.path)
        pages = write_pages(tmp_path / "pages", many_pages(100))

        def fill(done: int, total: int | None) -> None:
            disk.fill(leave=100_000)

        with watched_service(database, tmp_path / "log", QUERY) as (_, watch):
            with pytest.raises(DiskFullError, match=ADVICE):
                build(database, pages, fill)
            assert watch.problems == []
        disk.empty()
        disk.grow(400)
        assert build(database, pages) == 100


def build(database: str, pages: Path, progress: Progress = ignore_progress) -> int:
    """Build as the command does, with its store in a child process; returns the documents."""
    with opened(Path(database)) as store:
        replace(builder(store), window=100, progress=progress).build(pages, allow_deletions=True)
        return store.live_collection()[2].documents


# Snapshots


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of many documents."""
    folder = tmp_path_factory.mktemp("source")
    built(folder, many_pages(300))
    return folder


@pytest.mark.parametrize("megabytes", sizes([4], [5]))
def test_snapshot_is_pushed_to_a_full_disk(tmp_path: Path, source: Path, megabytes: int) -> None:
    with small_disk(tmp_path / "disk", megabytes) as disk, opened(source / "index") as store:
        disk.fill(leave=100_000)
        storage = Storage(str(disk.path / "snapshots"))
        with pytest.raises(DiskFullError, match=ADVICE):
            push(store, storage)
        disk.empty()
        disk.grow(64)
        pushed = push(store, storage)
        assert pushed.manifest.fingerprint.documents == 300


@pytest.mark.parametrize("megabytes", sizes([], [6]))
def test_snapshot_is_pulled_to_a_full_disk(tmp_path: Path, source: Path, megabytes: int) -> None:
    storage = Storage(str(tmp_path / "snapshots"))
    with opened(source / "index") as store:
        push(store, storage)
    with small_disk(tmp_path / "disk", megabytes) as disk, opened(disk.path / "index") as store:
        snapshot = find_snapshot(storage, None)
        with pytest.raises(DiskFullError, match=ADVICE):
            pull(store, snapshot, settings=None)
        disk.grow(400)
        assert pull(store, snapshot, settings=None).changed
        assert store.live_collection()[2].documents == 300


def opened(path: Path) -> "closing[Store]":
    return closing(open_store(str(path), create=True, isolated=True))
