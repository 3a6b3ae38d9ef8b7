"""Snapshots in folders, S3, Google Cloud Storage and on web servers, and their errors."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from database.index.fingerprint import Fingerprint
from database.index.store import Store, open_store
from database.snapshot.catalogue import find_snapshot, iter_snapshots
from database.snapshot.contents import verify
from database.snapshot.file_systems import StorageTimeouts
from database.snapshot.pull import pull
from database.snapshot.push import PushResult, push
from database.snapshot.storage import Storage
from tests.database.index.reading import contents
from tests.database.made_indexes import chunks_of, clear, make_index, many_chunks, words_of
from tests.servers import gcs as gcs_server
from tests.servers import s3 as s3_server
from tests.servers.chroma import ChromaServer, free_port
from tests.servers.gcs import GCSServer
from tests.servers.s3 import S3Server
from tests.servers.web_folder import WebFolder, web_folder
from utils.errors import SnapshotError

pytestmark = pytest.mark.process

SMALL = 32 << 10
QUICK = StorageTimeouts(connect=1.0, read=0.5, request=10.0, retries=1, retrying=2.0)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server.s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def gcs() -> Iterator[GCSServer]:
    with gcs_server.gcs_server() as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(open_store(str(tmp_path_factory.mktemp("source")), create=True)) as made:
        make_index(made, many_chunks(300))
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path_factory.mktemp("target") / "chroma") as running:
        yield running


@pytest.fixture
def target(server: ChromaServer) -> Iterator[Store]:
    with closing(open_store(server.url)) as empty:
        clear(empty)
        yield empty


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only loopback is contacted, also for credentials."""
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", nobody)
    monkeypatch.setenv("GOOGLE_BASE_URL", nobody)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "none")


@pytest.fixture(params=["folder", "s3", "gs"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty location of each kind, named after the test."""
    if request.param == "folder":
        return str(tmp_path / "snapshots")
    running = request.getfixturevalue("s3" if request.param == "s3" else "gcs")
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return f"{request.param}://{s3_server.BUCKET}/{tmp_path.name}"


def any_model(fingerprint: Fingerprint) -> None:
    """Accept any model."""


def pushed(store: Store, url: str) -> PushResult:
    return push(store, url, part_bytes=SMALL, timeouts=QUICK)


def test_pushed_snapshot_is_pulled(source: Store, target: Store, place: str) -> None:
    done = pushed(source, place)

    (listed,) = iter_snapshots(place, QUICK)
    snapshot = find_snapshot(place, done.sha256, QUICK)
    verify(snapshot)
    pull(target, snapshot, check_model=any_model)

    assert listed.url == snapshot.url == done.url
    assert find_snapshot(done.url, None, QUICK).sha256 == done.sha256
    assert contents(target).rows == contents(source).rows
    assert words_of(target) == words_of(source)


def test_second_push_sends_nothing(source: Store, place: str) -> None:
    assert pushed(source, place).sent > 0
    assert pushed(source, place).sent == 0


def test_interrupted_push_resumes(source: Store, place: str) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if total and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(source, place, part_bytes=SMALL, timeouts=QUICK, sending=interrupt)
    assert [*iter_snapshots(place, QUICK)] == []

    done = pushed(source, place)

    assert 0 < done.sent < done.manifest.bytes
    verify(find_snapshot(place, done.sha256, QUICK))


def test_empty_place_holds_no_snapshot(place: str) -> None:
    assert [*iter_snapshots(place, QUICK)] == []
    with pytest.raises(SnapshotError, match=r"No snapshot at .* Push one there"):
        find_snapshot(place, None, QUICK)


def test_part_deleted_from_a_bucket_is_reported(
    source: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    done = pushed(source, f"s3://{s3_server.BUCKET}/{tmp_path.name}")
    s3.delete(f"{done.url.removeprefix(f's3://{s3_server.BUCKET}/')}/{done.manifest.parts[0].name}")
    with pytest.raises(SnapshotError, match="is missing"):
        verify(find_snapshot(done.url, None, QUICK))


def test_missing_bucket_is_reported(
    source: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SnapshotError, match=r"status 404|no such folder or bucket") as caught:
        pushed(source, "s3://nobody-made-this/snapshots")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environment", "complaint"),
    [
        ("s3://some-bucket/x", {}, "no valid credentials. Set AWS_ACCESS_KEY_ID and"),
        (
            "gs://some-bucket/x",
            {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json", "GOOGLE_BEARER_TOKEN": ""},
            "no valid credentials. Set GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "s3://some-bucket/x",
            {"AWS_ACCESS_KEY_ID": "very-secret", "AWS_SECRET_ACCESS_KEY": "more-secret"},
            "does not answer",
        ),
    ],
)
def test_unreachable_store_is_reported_in_a_line_without_secrets(
    source: Store,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    environment: dict[str, str],
    complaint: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv(name)
    with pytest.raises(SnapshotError, match=complaint) as caught:
        pushed(source, url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@dataclass(frozen=True)
class Web:
    """A snapshot on a web server."""

    server: WebFolder
    pushed: PushResult


@pytest.fixture
def web(source: Store, tmp_path: Path) -> Iterator[Web]:
    done = pushed(source, str(tmp_path / "snapshots"))
    with web_folder(tmp_path / "snapshots") as server:
        yield Web(server, done)


def test_web_server_without_listings_is_pulled_from(source: Store, target: Store, web: Web) -> None:
    (listed,) = iter_snapshots(web.server.url, QUICK)
    pull(target, find_snapshot(web.server.url, web.pushed.sha256, QUICK), check_model=any_model)
    assert listed.sha256 == web.pushed.sha256
    assert contents(target).rows == contents(source).rows


def test_store_that_answers_403_for_missing_files_is_pulled_from(web: Web) -> None:
    web.server.missing = 403
    verify(find_snapshot(web.server.url, None, QUICK))


def test_web_server_can_name_one_snapshot(web: Web) -> None:
    name = web.pushed.url.rpartition("/")[2]
    verify(find_snapshot(f"{web.server.url}/{name}/", None, QUICK))


def test_plain_http_needs_a_required_hash(target: Store, web: Web) -> None:
    with pytest.raises(SnapshotError, match="may be changed on its way"):
        pull(target, find_snapshot(web.server.url, None, QUICK), check_model=any_model)
    assert web.server.parts_asked == []
    assert target.collection_names("") == []


def test_web_servers_are_not_pushed_to(source: Store, web: Web) -> None:
    with pytest.raises(SnapshotError, match="can only be read from"):
        pushed(source, web.server.url)


def test_interrupted_part_is_requested_again(web: Web) -> None:
    web.server.conduct, web.server.times = "cut", 1
    verify(find_snapshot(web.server.url, None, QUICK))
    assert len(web.server.parts_asked) == len(web.pushed.manifest.parts) + 1


@pytest.mark.parametrize(
    ("conduct", "complaint"),
    [
        ("cut", "does not answer, or not to the end"),
        ("stalled", "does not answer, or not to the end"),
        ("refusing", "access is refused"),
        ("broken", "answers with status 500"),
        ("endless", "is larger than it may be"),
    ],
)
def test_unavailable_part_is_reported_in_a_line(web: Web, conduct: str, complaint: str) -> None:
    web.server.conduct = conduct  # type: ignore[assignment]
    with pytest.raises(SnapshotError, match=complaint) as caught:
        verify(find_snapshot(web.server.url, None, QUICK))
    assert "\n" not in str(caught.value)


def test_interrupted_pull_requests_no_part_twice(source: Store, target: Store, web: Web) -> None:
    snapshot = find_snapshot(web.server.url, web.pushed.sha256, QUICK)
    first = snapshot.manifest.parts[0]

    def interrupt(done: int, total: int | None) -> None:
        if done > first.bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(target, snapshot, check_model=any_model, progress=interrupt)
    web.server.asked.clear()

    pull(target, snapshot, check_model=any_model)

    assert not any(first.name in path for path in web.server.asked)
    assert contents(target).rows == contents(source).rows


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://host/snapshots", "ftp:// addresses are not supported"),
        ("s3:///snapshots", "has a host or bucket"),
        ("https://name:password@host/snapshots", "neither password nor query"),
        ("https://host/snapshots?token=secret", "neither password nor query"),
    ],
)
def test_invalid_address_is_refused_without_repeating_it(url: str, complaint: str) -> None:
    with pytest.raises(SnapshotError, match=complaint) as caught:
        Storage(url)
    assert "password@" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_file_in_place_of_the_folder_is_reported(source: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SnapshotError, match="file"):
        pushed(source, str(tmp_path / "file"))


def test_other_folders_are_ignored(source: Store, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "20260101T000000Z-1a2b3c4d5e6f").mkdir()
    (tmp_path / "readme.txt").write_text("not a snapshot")
    done = pushed(source, str(tmp_path))
    assert [found.url for found in iter_snapshots(str(tmp_path))] == [done.url]


def test_file_url_is_a_folder(source: Store, tmp_path: Path) -> None:
    done = pushed(source, f"file://{tmp_path}/snapshots")
    assert (tmp_path / "snapshots" / done.url.rpartition("/")[2] / "manifest.json").is_file()


def test_invalid_list_of_names_is_refused(tmp_path: Path) -> None:
    make_snapshot_list(tmp_path, '{"snapshots": 7}')
    with (
        web_folder(tmp_path) as server,
        pytest.raises(SnapshotError, match="not a list of"),
    ):
        find_snapshot(server.url, None, QUICK)


def test_names_outside_the_folder_are_ignored(tmp_path: Path) -> None:
    make_snapshot_list(tmp_path, '{"snapshots": ["../secret", 7, "x"]}')
    with web_folder(tmp_path) as server:
        assert [*iter_snapshots(server.url, QUICK)] == []
        assert server.asked == ["/manifest.json", "/snapshots.json"]


def make_snapshot_list(folder: Path, text: str) -> None:
    (folder / "snapshots.json").write_text(text)


def test_index_of_one_part_is_pulled(tmp_path: Path, target: Store) -> None:
    with closing(open_store(str(tmp_path / "one"), create=True)) as one:
        make_index(one, chunks_of("Oak dries."))
        pushed(one, str(tmp_path / "snapshots"))
        pull(target, find_snapshot(str(tmp_path / "snapshots")), check_model=any_model)
        assert contents(target).rows == contents(one).rows
