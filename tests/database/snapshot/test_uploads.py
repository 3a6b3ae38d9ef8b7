"""Snapshots include the documents added through the API."""

from pathlib import Path

import pytest

from database.index.store import Store
from database.journal.uploads import UPLOADS, Uploads
from tests.database.made_indexes import (
    chunks_of,
    delete_upload,
    document,
    make_index,
    upload,
    uploaded,
)
from tests.database.snapshot.steps import pulled, pushed

pytestmark = pytest.mark.process


def test_documents_of_the_api_are_replaced_by_the_snapshots(
    source: Store, target: Store, folder: Path
) -> None:
    long = "Oak dries slowly. " * 20_000
    upload(source, "job-1", document("old.md", "Old."))
    upload(source, "job-2", document("old.md", "New."), document("long.md", long))
    Uploads(source).add("job-waiting-there", [document("never.md", "Never seen.")])
    make_index(target, chunks_of("Before."), "index-before")
    for number in range(4):
        upload(target, f"job-here-{number}", document("mine.md", f"Mine {number}."))
    Uploads(target).add("job-waiting-here", [document("mine-too.md", "Mine, soon.")])
    pushed(source, folder)

    pulled(target, folder)

    uploads = Uploads(target)
    assert uploaded(target) == {"old.md": "New.", "long.md": long}
    assert uploads.of_job("job-waiting-there") == []
    (waiting,) = uploads.of_job("job-waiting-here")
    assert uploads.document(waiting).text == "Mine, soon."
    assert target.collection_names("uploads") == [UPLOADS]


def test_document_deleted_through_the_api_stays_deleted(
    source: Store, target: Store, folder: Path
) -> None:
    delete_upload(source, "job-1", "notes.md")
    pushed(source, folder)
    pulled(target, folder)
    live = target.live_collection()[0]
    (entry,) = Uploads(target).current(live).values()
    assert entry.document == "notes.md"
    assert entry.is_deletion


def test_documents_before_the_return_to_the_folder_are_not_pushed(
    source: Store, target: Store, folder: Path
) -> None:
    upload(source, "job-1", document("old.md", "Old."))
    source.return_to_folder()
    upload(source, "job-2", document("new.md", "New."))
    pushed(source, folder)
    pulled(target, folder)
    assert uploaded(target) == {"new.md": "New."}
