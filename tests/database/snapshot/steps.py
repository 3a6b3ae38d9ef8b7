"""Steps of tests of snapshots."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from database.index.fingerprint import Fingerprint
from database.index.live_pointer import LivePointer
from database.index.rows import Record
from database.index.store import Store, open_store
from database.journal import staging
from database.journal.uploads import UPLOADS, Uploads
from database.snapshot import upload_rows
from database.snapshot.catalogue import Snapshot, find_snapshot
from database.snapshot.contents import read_parts
from database.snapshot.pull import PullResult, pull
from database.snapshot.push import PushResult, push
from tests.database.changing.steps import accept_job
from tests.database.made_indexes import chunks_of, document, make_index, upload, uploaded

SMALL = 32 << 10
"""Bytes of a part, so that a small index has several."""
PULLED = {"pulled.md": "Pulled.", "long.md": "Oak dries slowly. " * 20_000}
"""The documents of the API in the snapshot of a pull that died."""


def pushed(store: Store, folder: Path) -> PushResult:
    return push(store, str(folder), part_bytes=SMALL)


def pulled(store: Store, place: Path | Snapshot) -> PullResult:
    snapshot = place if isinstance(place, Snapshot) else find_snapshot(str(place))
    return pull(store, snapshot, check_model=any_model)


def any_model(fingerprint: Fingerprint) -> None:
    """Accept any model."""


def rows_in(folder: Path) -> Iterator[Record]:
    """The index's rows in the newest snapshot."""
    return (
        record for _, found in read_parts(find_snapshot(str(folder)), "index") for record in found
    )


def part_files(done: PushResult) -> list[Path]:
    return [Path(done.url) / part.name for part in done.manifest.parts]


def make_interrupted_pull(store: Store) -> LivePointer:
    """Leave the state of a pull killed just after going live, with two pending changes."""
    make_index(store, chunks_of("Before."), "index-before")
    upload(store, "job-here", document("mine.md", "Mine."), document("pulled.md", "Not this."))
    accept_job(store, "put", [document("waits.md", "# Waits\n\nOak.\n")])
    live = store.live()
    assert live is not None
    with closing(open_store(store.database + "-source", create=True)) as source:
        make_index(source, chunks_of("Pulled."), "index-there")
        upload(source, "job-there", *(document(*item) for item in PULLED.items()))
        there = source.live()
        assert there is not None
        records = [*upload_rows.read_upload_rows(source, there)]
    staging.stage_uploads(store, "index-pulled", records, live.revision + 1)
    # Accepted during the rest of the pull.
    accept_job(store, "put", [document("late.md", "# Late\n\nAsh.\n")])
    accept_job(store, "delete", name="mine.md")
    return make_index(store, chunks_of("Pulled."), "index-pulled")


def pending_changes(store: Store) -> list[tuple[str, bool]]:
    """Pending entries: the document, and whether it is a deletion."""
    live = store.live()
    assert live is not None
    return sorted((e.document, e.is_deletion) for e in Uploads(store).pending(live))


PENDING_CHANGES = [("late.md", False), ("mine.md", True), ("waits.md", False)]


def finished(store: Store) -> bool:
    """True if the state equals that of an uninterrupted pull."""
    return (
        uploaded(store) == PULLED
        and pending_changes(store) == PENDING_CHANGES
        and store.collection_names("uploads") == [UPLOADS]
    )
