"""Fetching the Developer Guide from a server that may misbehave."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from dataset.page_files import FileChanges
from dataset.sources.developer_guide import MANIFEST, blob_id, fetch_developer_guide, guide_names
from dataset.web.state import WebState
from tests.servers.archive import (
    PAGES,
    ArchiveServer,
    Conduct,
    archive_of,
    archive_server,
    gzipped_noise,
    large,
    link,
    manifest_of,
)
from utils.errors import DatasetError

LICENSE = "LICENSE-developer-guide.txt"

Fetch = Callable[..., FileChanges]


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server() as running:
        yield running


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return manifest_of(PAGES, tmp_path / "manifest.blobs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "documents"


@pytest.fixture
def fetch(server: ArchiveServer, manifest: Path, folder: Path) -> Fetch:
    return partial(fetch_developer_guide, folder, archive_url=server.url, manifest=manifest)


def test_live_page_is_not_replaced_by_the_archived_one(folder: Path, fetch: Fetch) -> None:
    folder.mkdir()
    with closing(WebState.open(folder, "https://h.example/dg/")) as state:
        for name in ("endpoints", "models"):
            url = f"https://h.example/dg/{name}.html"
            state.add_named("a list", [(url, "")])
            state.claim(state.record(url), url)
    (folder / "endpoints.md").write_bytes(b"# Live\n")
    with closing(WebState.open(folder, "https://h.example/dg/")) as state:
        state.update("https://h.example/dg/endpoints.html", checked="2026-11-28T00:00:00Z")

    assert fetch() == FileChanges(new=2)
    found = contents(folder)
    assert found["endpoints.md"] == b"# Live\n"
    assert found["models.md"] == PAGES["models.md"]
    assert fetch() == FileChanges(unchanged=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_page_and_the_licence_are_fetched(
    server: ArchiveServer, folder: Path, fetch: Fetch
) -> None:
    received: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        received.append((done, total))

    changes = fetch(progress=progress)

    found = contents(folder)
    notice = found.pop(LICENSE).decode()
    assert changes == FileChanges(new=3)
    assert found == PAGES
    assert "CC BY-SA 4.0" in notice
    assert received[-1][1] == len(server.content)


def test_complete_guide_needs_no_network(server: ArchiveServer, fetch: Fetch) -> None:
    fetch()

    changes = fetch()

    assert changes == FileChanges(unchanged=3)
    assert len(server.asked) == 1


def test_missing_files_are_fetched_and_those_of_the_user_kept(folder: Path, fetch: Fetch) -> None:
    fetch()
    (folder / "endpoints.md").write_text("# Our endpoints\n")
    (folder / "models.md").unlink()
    (folder / "pipelines.md").unlink()
    os.mkfifo(folder / "pipelines.md")
    (folder / "mine.md").write_text("a page of someone's own")

    changes = fetch()

    assert changes == FileChanges(new=1, kept=("endpoints.md", "pipelines.md"))
    assert (folder / "endpoints.md").read_text() == "# Our endpoints\n"
    assert (folder / "pipelines.md").is_fifo()
    assert (folder / "mine.md").exists()


def test_follows_redirects(server: ArchiveServer, fetch: Fetch) -> None:
    server.conduct = "redirecting"

    fetch()

    assert server.asked == ["/guide.tar.gz", "/moved"]


@pytest.mark.parametrize(
    ("conduct", "reason"), [("missing", "404"), ("cut", "Cannot download"), ("stalled", "in time")]
)
def test_failed_download_leaves_the_folder_unchanged(
    server: ArchiveServer, folder: Path, fetch: Fetch, conduct: Conduct, reason: str
) -> None:
    folder.mkdir()
    (folder / "endpoints.md").write_text("an older page")
    server.conduct = conduct

    with pytest.raises(DatasetError, match=reason) as failure:
        fetch(read_timeout=0.3)

    assert "\n" not in str(failure.value)
    assert contents(folder) == {"endpoints.md": b"an older page"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archive_of({**PAGES, "models.md": b"# Other models\n"}), "another models.md"),
        (archive_of({"models.md": PAGES["models.md"]}), "lacks 2"),
        (archive_of(PAGES)[:-120], "not a whole tar.gz"),
        (b"<html>Please log in to the network</html>", "not a whole tar.gz"),
        (gzipped_noise(), "not a whole tar.gz"),
        (archive_of({}, large("guide/doc_source/models.md", 5_000_000)), "too large"),
    ],
    ids=["altered", "incomplete", "truncated", "no gzip", "no tar", "huge"],
)
def test_wrong_content_leaves_the_folder_empty(
    server: ArchiveServer, folder: Path, fetch: Fetch, content: bytes, reason: str
) -> None:
    server.content = content

    with pytest.raises(DatasetError, match=reason):
        fetch()

    assert contents(folder) == {}


def test_hostile_members_are_not_extracted(
    server: ArchiveServer, folder: Path, fetch: Fetch, tmp_path: Path
) -> None:
    server.content = archive_of(
        PAGES,
        large("../../escaped.md", 3),
        large("../doc_source/models.md", 3),
        large("/doc_source/models.md", 3),
        large("guide/doc_source/deeper/models.md", 3),
        link("guide/doc_source/pipelines.md", "/etc/passwd"),
        link("guide/doc_source/planted.md", "/etc/passwd"),
    )

    fetch()

    assert contents(folder).keys() == {*PAGES, LICENSE}
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert not list(tmp_path.glob("**/escaped.md"))


def test_leftovers_of_a_killed_run_are_removed(folder: Path, fetch: Fetch) -> None:
    folder.mkdir()
    (folder / ".models.md.7.tmp").write_text("half a pa")
    (folder / ".models.md.of-the-user.tmp").write_text("# Ours")

    fetch()

    assert contents(folder).keys() == {*PAGES, LICENSE, ".models.md.of-the-user.tmp"}


def test_interruption_leaves_nothing_behind(folder: Path, fetch: Fetch) -> None:
    def interrupt(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)

    assert contents(folder) == {}


def test_unreachable_server_is_reported(manifest: Path, folder: Path, nowhere: str) -> None:
    with pytest.raises(DatasetError, match="--guide-url") as failure:
        fetch_developer_guide(folder, archive_url=nowhere, manifest=manifest)

    assert nowhere in str(failure.value)


def test_name_that_cannot_be_looked_up_is_reported(manifest: Path, folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"^Cannot download http://a\.\.b/: .*--guide-url"):
        fetch_developer_guide(folder, archive_url="http://a..b/", manifest=manifest)


def manifest_blobs() -> dict[str, str]:
    lines = MANIFEST.read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {name: blob for blob, name in pairs}


def test_manifest_lists_the_guides_pages_in_order() -> None:
    names = list(manifest_blobs())

    assert names == sorted(names)
    assert len(guide_names()) == len(names) == 1284
    assert "how-it-works-deployment.md" in guide_names()


def test_manifest_matches_a_copy_of_the_guide(developer_guide: Path) -> None:
    copy = {path.name: blob_id(path.read_bytes()) for path in developer_guide.glob("*.md")}

    assert manifest_blobs() == copy
