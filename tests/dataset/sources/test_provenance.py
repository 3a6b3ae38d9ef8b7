"""The sources of an index's documents and their dates."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from database.index.fingerprint import Fingerprint
from database.index.store import Store, open_store
from dataset.sources.developer_guide import guide_names
from dataset.sources.provenance import Source, sources_of
from dataset.web.request import GUIDE_URL
from dataset.web.state import NAME, WebState
from tests.files.pages import builder, recipe, write_pages
from tests.servers.chroma import ChromaServer

HISTORY = """\
# History

In March 3, 2031 nothing happened\\.

| Change | Description | Date |
| --- |--- |--- |
| June 6, 2032 | Stops on May 5, 2030, they say | January 9, 2021 |
| [Ovens](#h) | Hotter | December 12, 2022 |
| [Stoves](#h) | Older | June 1, 2022 |
| [Ash](#h) | No such day | February 31, 2024 |
| [Oak](#h) | No such month | Smarch 1, 2024 |
"""
NOTICE = "The pages are generated from the models of\nbotocore 1.23.4 (https://example.org).\n"

GUIDE_PAGES = sorted(guide_names() - {"doc-history.md"})[:3]


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_each_source_is_counted_dated_and_named(tmp_path: Path) -> None:
    write(tmp_path, "doc-history.md", HISTORY)
    write(tmp_path, "api-reference/NOTICE", NOTICE)
    names = [*GUIDE_PAGES, "doc-history.md", "api-reference/A.md", "api-reference/B.md", "own.md"]

    guide, reference, others = sources_of(names, tmp_path)

    assert guide == Source("Amazon SageMaker Developer Guide", 4, GUIDE_URL, "2022-12-12")
    assert reference.name == "Amazon SageMaker API Reference"
    assert reference.url.startswith("https://docs.aws.amazon.com/sagemaker/")
    assert (reference.documents, reference.as_of) == (2, "botocore 1.23.4")
    assert others == Source("other documents", 1, "", "")
    assert sources_of(["own.md"], tmp_path) == (others,), "a source without documents is listed"
    assert sources_of([], tmp_path) == ()


def test_unknown_dates_are_empty(tmp_path: Path) -> None:
    names = [*GUIDE_PAGES, "api-reference/A.md"]
    assert [source.as_of for source in sources_of(names, tmp_path)] == ["", ""]
    write(tmp_path, "doc-history.md", "# History\n")
    write(tmp_path, "api-reference/NOTICE", "Nothing of a version.")
    assert [source.as_of for source in sources_of(names, tmp_path)] == ["", ""]


def test_real_guide_is_dated_by_its_history_page(developer_guide: Path) -> None:
    names = [path.name for path in developer_guide.glob("*.md")]
    (guide,) = sources_of(names, developer_guide)
    assert guide.as_of == "2023-01-12"
    assert guide.documents == len(names)


def record_fetched(folder: Path, *pages: tuple[str, str]) -> None:
    """Record pages as fetched: address and time of the fetch."""
    (folder / "web").mkdir(exist_ok=True)
    with closing(WebState.open(folder / "web")) as state:
        state.add_named("a list", [(url, "") for url, _ in pages])
        for url, checked in pages:
            state.claim(state.record(url), url)
            state.update(url, checked=checked)


def test_websites_are_named_by_their_hosts_and_dated_by_the_newest_fetch(tmp_path: Path) -> None:
    record_fetched(
        tmp_path,
        ("https://kilns.example/a.html", "2021-05-06T07:08:09Z"),
        ("https://kilns.example/b.html", "2021-07-08T07:08:09Z"),
        ("http://127.0.0.1:8000/c", "2021-01-01T00:00:00Z"),
        ("https://docs.aws.amazon.com/s3/a.html", ""),
    )
    names = [
        "web/kilns.example/a.md",
        "web/kilns.example/b.md",
        "web/127.0.0.1~8000/c.md",
        "web/docs.aws.amazon.com/s3/a.md",
        "web/loose.md",
    ]
    assert sources_of(names, tmp_path) == (
        Source("127.0.0.1:8000", 1, "http://127.0.0.1:8000/", "2021-01-01"),
        Source("docs.aws.amazon.com", 1, "https://docs.aws.amazon.com/", ""),
        Source("kilns.example", 2, "https://kilns.example/", "2021-07-08"),
        Source("other documents", 1, "", ""),
    )


def record_live(folder: Path, checks: dict[str, str]) -> None:
    """Record pages of the live guide as fetched: name and time of the fetch."""
    with closing(WebState.open(folder, GUIDE_URL)) as state:
        for name, checked in checks.items():
            url = f"{GUIDE_URL}{name.removesuffix('.md')}.html"
            state.add_named("a list", [(url, "")])
            state.claim(state.record(url), url)
            state.update(url, checked=checked)
            write(folder, name, HISTORY)


def test_live_pages_are_told_from_archived_ones_and_dated_by_the_oldest_check(
    tmp_path: Path,
) -> None:
    checks = {GUIDE_PAGES[0]: "2026-11-28T07:08:09Z", "doc-history.md": "2026-11-29T00:00:00Z"}
    checks |= {"new-page.md": "2026-11-29T00:00:00Z", GUIDE_PAGES[1]: ""}
    record_live(tmp_path, checks)

    assert sources_of([*checks, GUIDE_PAGES[2], "own.md"], tmp_path) == (
        Source("AWS SageMaker Developer Guide, live", 3, GUIDE_URL, "2026-11-28"),
        Source("Amazon SageMaker Developer Guide", 2, GUIDE_URL, "2023-06"),
        Source("other documents", 1, "", ""),
    )


@pytest.mark.parametrize("state", [None, b"not a database" * 100])
def test_websites_without_a_state_are_not_dated(tmp_path: Path, state: bytes | None) -> None:
    if state:
        (tmp_path / "web").mkdir()
        (tmp_path / "web" / NAME).write_bytes(state)
    (source,) = sources_of(["web/kilns.example/a.md"], tmp_path)
    assert source == Source("kilns.example", 1, "https://kilns.example/", "")


def test_state_in_a_read_only_folder_is_read(tmp_path: Path) -> None:
    record_fetched(tmp_path, ("https://kilns.example/a.html", "2021-05-06T07:08:09Z"))
    (tmp_path / "web").chmod(0o500)
    try:
        (source,) = sources_of(["web/kilns.example/a.md"], tmp_path)
    finally:
        (tmp_path / "web").chmod(0o700)
    assert source.as_of == "2021-05-06"


def test_state_of_a_killed_run_is_read(tmp_path: Path) -> None:
    folder, copy = tmp_path / "pages", tmp_path / "copy"
    folder.mkdir()
    record_live(folder, {"a.md": "2026-11-28T00:00:00Z", "b.md": "2026-11-28T00:00:00Z"})
    with closing(WebState.open(folder, GUIDE_URL)) as state, state.transaction():
        state.update(f"{GUIDE_URL}a.html", checked="2026-11-29T00:00:00Z")
        shutil.copytree(folder, copy)
    assert list(copy.glob(".*-journal"))
    (live,) = sources_of(["a.md", "b.md"], copy)
    assert (live.documents, live.as_of) == (2, "2026-11-28")


def test_websites_beyond_the_first_twenty_count_as_other_documents(tmp_path: Path) -> None:
    names = [f"web/h{host}.example/{page}.md" for host in range(25) for page in range(25 - host)]
    found = sources_of(names, tmp_path)
    assert len(found) == 21
    assert found[-1] == Source("other documents", 1 + 2 + 3 + 4 + 5, "", "")


@pytest.fixture
def fingerprint() -> Fingerprint:
    sources = (Source("Kilns", 2, "https://example.org", "2022-12-12"), Source("Ash", 1, "", ""))
    return Fingerprint(recipe(), "hash", 3, 5, "2026-01-01T00:00:00+00:00", sources)


def test_sources_are_read_back_from_the_metadata(fingerprint: Fingerprint) -> None:
    metadata = fingerprint.to_metadata()
    assert all(isinstance(value, str | int | float | bool) for value in metadata.values())
    found = Fingerprint.from_metadata(metadata)
    assert found is not None
    assert found.sources == fingerprint.sources
    assert found == fingerprint


@pytest.mark.parametrize(
    "stored", [None, "", "garbage", "5", '[{"name": "Kilns"}]', "[5]", '{"a": 1}']
)
def test_index_of_an_older_build_has_no_sources_and_stays_valid(
    fingerprint: Fingerprint, stored: str | None
) -> None:
    metadata = fingerprint.to_metadata()
    del metadata["sources"]
    found = Fingerprint.from_metadata(metadata | ({} if stored is None else {"sources": stored}))
    assert found is not None
    assert found.sources == ()
    assert found == fingerprint
    assert found.collection_name == fingerprint.collection_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "pages", {"own.md": "# Own\n\nA page of our own.\n"})


def sources(store: Store) -> list[tuple[str, int]]:
    return [(source.name, source.documents) for source in store.live_collection()[2].sources]


def test_build_records_its_sources(chroma_server: ChromaServer, folder: Path) -> None:
    with closing(open_store(chroma_server.url)) as store:
        builder(store).build(folder)
        assert sources(store) == [("other documents", 1)]

        write(folder, GUIDE_PAGES[0], "# Guide\n\nA page of the guide.\n")
        builder(store).build(folder)

        assert sources(store) == [("Amazon SageMaker Developer Guide", 1), ("other documents", 1)]

        record_live(folder, {GUIDE_PAGES[0]: "2026-11-28T07:08:09Z"})
        report = builder(store).build(folder)

        live, others = store.live_collection()[2].sources
        assert live == Source("AWS SageMaker Developer Guide, live", 1, GUIDE_URL, "2026-11-28")
        assert others.documents == 1
        assert report.changes.replaced.documents == 1, "the archived page was not replaced"


def test_index_without_sources_is_current_and_not_rewritten(
    chroma_server: ChromaServer, folder: Path
) -> None:
    with closing(open_store(chroma_server.url)) as store:
        builder(store).build(folder)
        live, collection, _ = store.live_collection()
        newer = ("sources", "digests", "seal", "cleaned")
        older = {k: v for k, v in (collection.metadata or {}).items() if k not in newer}
        collection.modify(metadata=older)

        report = builder(store).build(folder)

        assert report.embedded == 0
        assert store.live() == live
        assert sources(store) == []
        metadata = store.live_collection()[1].metadata or {}
        metadata = {name: value for name, value in metadata.items() if name not in newer}
        assert json.dumps(metadata, sort_keys=True) == json.dumps(older, sort_keys=True)
