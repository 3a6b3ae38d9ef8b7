"""Snapshots in folders, S3, Google Cloud Storage and on web servers, and their errors."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from database.index.store import Store
from database.snapshot.contents import verify
from database.snapshot.push import PushResult
from database.snapshot.storage import Storage
from tests.database.index.reading import contents
from tests.database.made_indexes import words_of
from tests.database.snapshot.steps import (
    QUICK,
    found_at,
    interrupt_half_way,
    listed_at,
    pulled,
    pushed,
)
from tests.servers.objects import gcs as gcs_server
from tests.servers.objects import s3 as s3_server
from tests.servers.objects.gcs import GCSServer
from tests.servers.objects.s3 import S3Server
from tests.servers.web_folder import WebFolder, web_folder
from utils.benchmark.processes import free_port
from utils.errors import SnapshotError

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def s3_running() -> Iterator[S3Server]:
    with s3_server.s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def gcs_running() -> Iterator[GCSServer]:
    with gcs_server.gcs_server() as running:
        yield running


@pytest.fixture
def s3(s3_running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with the environment of its clients."""
    for name, value in s3_running.environment.items():
        monkeypatch.setenv(name, value)
    return s3_running


@pytest.fixture
def gs(gcs_running: GCSServer, monkeypatch: pytest.MonkeyPatch) -> GCSServer:
    """The server, with the environment of its clients."""
    for name, value in gcs_running.environment.items():
        monkeypatch.setenv(name, value)
    return gcs_running


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
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty location of each kind, named after the test."""
    if request.param == "folder":
        return str(tmp_path / "snapshots")
    request.getfixturevalue(request.param)
    return f"{request.param}://{s3_server.BUCKET}/{tmp_path.name}"


def test_pushed_snapshot_is_pulled(source: Store, target: Store, place: str) -> None:
    done = pushed(source, place)

    (listed,) = listed_at(place)
    snapshot = found_at(place, done.sha256)
    verify(snapshot)
    pulled(target, snapshot)

    assert listed.url == snapshot.url == done.url
    assert found_at(done.url).sha256 == done.sha256
    assert contents(target).rows == contents(source).rows
    assert words_of(target) == words_of(source)


def test_second_push_of_a_state_sends_nothing(source: Store, place: str) -> None:
    first, second = pushed(source, place), pushed(source, place)
    assert (first.sent, second.sent) == (first.manifest.bytes, 0)
    assert (second.url, second.sha256) == (first.url, first.sha256)


def test_interrupted_push_is_no_snapshot_and_resumes(source: Store, place: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        pushed(source, place, sending=interrupt_half_way)
    assert listed_at(place) == []
    with pytest.raises(SnapshotError, match="No snapshot at"):
        found_at(place)

    done = pushed(source, place)

    assert 0 < done.sent < done.manifest.bytes
    listing = Storage(place, QUICK).listing()
    assert listing is not None
    assert len(listing.folders) == 1
    verify(found_at(place, done.sha256))


def test_empty_place_holds_no_snapshot(place: str) -> None:
    assert listed_at(place) == []
    with pytest.raises(SnapshotError, match=r"No snapshot at .* Push one there"):
        found_at(place)


def test_part_deleted_from_a_bucket_is_reported(
    source: Store, s3: S3Server, tmp_path: Path
) -> None:
    done = pushed(source, f"s3://{s3_server.BUCKET}/{tmp_path.name}")
    s3.delete(f"{done.url.removeprefix(f's3://{s3_server.BUCKET}/')}/{done.manifest.parts[0].name}")
    with pytest.raises(SnapshotError, match="is missing"):
        verify(found_at(done.url))


@pytest.mark.usefixtures("s3")
def test_missing_bucket_is_reported(source: Store) -> None:
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

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture
def web(source: Store, folder: Path) -> Iterator[Web]:
    done = pushed(source, folder)
    with web_folder(folder) as server:
        yield Web(server, done)


def test_web_server_without_listings_is_pulled_from(source: Store, target: Store, web: Web) -> None:
    (listed,) = listed_at(web.url)
    pulled(target, found_at(web.url, web.pushed.sha256))
    assert listed.sha256 == web.pushed.sha256
    assert contents(target).rows == contents(source).rows


def test_store_that_answers_403_for_missing_files_is_pulled_from(web: Web) -> None:
    web.server.missing = 403
    verify(found_at(web.url))


def test_web_server_can_name_one_snapshot(web: Web) -> None:
    name = web.pushed.url.rpartition("/")[2]
    verify(found_at(f"{web.url}/{name}/"))


def test_plain_http_needs_a_required_hash(target: Store, web: Web) -> None:
    with pytest.raises(SnapshotError, match="may be changed on its way"):
        pulled(target, web.url)
    assert web.server.parts_asked == []
    assert target.collection_names("") == []


def test_web_servers_are_not_pushed_to(source: Store, web: Web) -> None:
    with pytest.raises(SnapshotError, match="can only be read from"):
        pushed(source, web.url)


def test_interrupted_part_is_requested_again(web: Web) -> None:
    web.server.conduct, web.server.times = "cut", 1
    verify(found_at(web.url))
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
        verify(found_at(web.url))
    assert "\n" not in str(caught.value)


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
        pushed(source, tmp_path / "file")


def test_other_folders_are_ignored(source: Store, folder: Path) -> None:
    (folder / "notes").mkdir(parents=True)
    (folder / "20260101T000000Z-1a2b3c4d5e6f").mkdir()
    (folder / "readme.txt").write_text("not a snapshot")
    done = pushed(source, folder)
    assert [found.url for found in listed_at(folder)] == [done.url]


def test_file_url_is_a_folder(source: Store, folder: Path) -> None:
    done = pushed(source, f"file://{folder}")
    assert (folder / done.url.rpartition("/")[2] / "manifest.json").is_file()


def test_invalid_list_of_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "snapshots.json").write_text('{"snapshots": 7}')
    with web_folder(tmp_path) as server, pytest.raises(SnapshotError, match="not a list of"):
        found_at(server.url)


def test_names_outside_the_folder_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "snapshots.json").write_text('{"snapshots": ["../secret", 7, "x"]}')
    with web_folder(tmp_path) as server:
        assert listed_at(server.url) == []
        assert server.asked == ["/manifest.json", "/snapshots.json"]
