"""Steps of tests of snapshots."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson

from database.index.live_pointer import LivePointer
from database.index.rows import Record
from database.index.store import Store, open_store
from database.journal import staging
from database.journal.uploads import UPLOADS, Uploads
from database.snapshot import upload_rows
from database.snapshot.catalogue import Snapshot, find_snapshot, iter_snapshots
from database.snapshot.contents import read_parts
from database.snapshot.file_systems import StorageTimeouts
from database.snapshot.initial_pull import pull_if_missing
from database.snapshot.pull import PullResult, pull
from database.snapshot.push import PushResult, push
from database.snapshot.storage import Storage
from tests.database.changing.steps import accept_job
from tests.database.made_indexes import chunks_of, document, make_index, upload, uploaded

SMALL = 32 << 10
"""Bytes of a part, so that a small index has several."""
QUICK = StorageTimeouts(connect=1.0, read=0.5, request=10.0, retries=1, retrying=2.0)
PULLED = {"pulled.md": "Pulled.", "long.md": "Oak dries slowly. " * 20_000}
"""The documents of the API in the snapshot of a pull that died."""

Place = str | Path


def pushed(store: Store, place: Place, **options: Any) -> PushResult:
    return push(store, Storage(str(place), QUICK), part_bytes=SMALL, **options)


def found_at(place: Place, sha256: str | None = None) -> Snapshot:
    return find_snapshot(Storage(str(place), QUICK), sha256)


def listed_at(place: Place) -> list[Snapshot]:
    return [*iter_snapshots(Storage(str(place), QUICK))]


def pulled(store: Store, place: Place | Snapshot) -> PullResult:
    snapshot = place if isinstance(place, Snapshot) else found_at(place)
    return pull(store, snapshot, settings=None)


def pulled_at_start(
    store: Store, place: Place = "s3://never-asked/for", sha256: str | None = None
) -> bool:
    return pull_if_missing(store, str(place), sha256, settings=None)


def rows_in(folder: Path) -> Iterator[Record]:
    """The index's rows in the newest snapshot."""
    return (record for _, found in read_parts(found_at(folder), "index") for record in found)


def part_files(done: PushResult) -> list[Path]:
    return [Path(done.url) / part.name for part in done.manifest.parts]


def interrupt_half_way(done: int, total: int | None) -> None:
    """Interrupt a push that reports its progress."""
    if total and done > total / 2:
        raise KeyboardInterrupt


def resealed(fields: dict[str, Any]) -> bytes:
    """A forged manifest with a valid hash."""
    fields.pop("digest", None)
    digest = hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return orjson.dumps(fields | {"digest": digest})


@contextmanager
def index_at(
    path: Path, *texts: str, documents: Mapping[str, str] | None = None
) -> Iterator[Store]:
    """An index of one page's chunks, with documents added through the API."""
    with closing(open_store(str(path), create=True)) as store:
        make_index(store, chunks_of(*texts))
        if documents:
            upload(store, f"job-of-{path.name}", *(document(*item) for item in documents.items()))
        yield store


def make_interrupted_pull(store: Store) -> LivePointer:
    """Leave the state of a pull killed just after going live, with two pending changes."""
    make_index(store, chunks_of("Before."), "index-before")
    upload(store, "job-here", document("mine.md", "Mine."), document("pulled.md", "Not this."))
    accept_job(store, "put", [document("waits.md", "# Waits\n\nOak.\n")])
    with index_at(Path(f"{store.database}-source"), "Pulled.", documents=PULLED) as source:
        records = [*upload_rows.read_upload_rows(source, source.live_collection()[0])]
    live = store.live_collection()[0]
    staging.stage_uploads(store, "index-pulled", records, live.revision + 1)
    # Accepted during the rest of the pull.
    accept_job(store, "put", [document("late.md", "# Late\n\nAsh.\n")])
    accept_job(store, "delete", name="mine.md")
    return make_index(store, chunks_of("Pulled."), "index-pulled")


def pending_changes(store: Store) -> list[tuple[str, bool]]:
    """Pending entries: the document, and whether it is a deletion."""
    live = store.live_collection()[0]
    return sorted((e.document, e.is_deletion) for e in Uploads(store).pending(live))


def assert_finished(store: Store, *late: str) -> None:
    """Assert that the state is that of an uninterrupted pull, with late documents pending."""
    assert pending_changes(store) == sorted(
        [("mine.md", True), *((name, False) for name in ("late.md", "waits.md", *late))]
    )
    assert uploaded(store) == PULLED
    assert store.collection_names("uploads") == [UPLOADS]
