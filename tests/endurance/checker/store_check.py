"""Compares the rows of the store with the model, after all workers have stopped."""

from collections import Counter, defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.model import Document
from tests.endurance.checker.violations import DOUBLED, HALF, LEFTOVER, LOST, STALE
from tests.endurance.documents.pages import Version, marks

if TYPE_CHECKING:
    from database.index.store import Store


def check_store(checker: Checker, database: str) -> int:
    """Check every row of the live collection and all collections; returns the number of rows."""
    from database.index.store import open_store

    with closing(open_store(database, timeout=60.0)) as store:
        found = _rows_by_document(store)
        _check_collections(checker, store)
        _check_uploads(checker, store)
    expected = {document.name: version for document, version in checker.model.present()}
    for name in expected.keys() - found.keys():
        checker.report(LOST, f"the store holds no row of {name}")
    for name in found.keys() - expected.keys():
        rows = len(found[name])
        checker.report(LEFTOVER, f"the store holds {rows} rows of {name}, which does not exist")
    for name, version in expected.items():
        if name in found:
            _check_document(checker, checker.model.documents[name], version, found[name])
    return sum(map(len, found.values()))


def _rows_by_document(store: "Store") -> dict[str, list[tuple[dict[str, Any], str]]]:
    from database.index.rows import pages

    _, collection, _ = store.live_collection()
    found: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for page in pages(collection, ["documents", "metadatas"]):
        for fields, text in zip(page["metadatas"], page["documents"], strict=True):
            found[fields["document"]].append((fields, text))
    return found


def _check_document(
    checker: Checker,
    document: Document,
    version: Version,
    rows: list[tuple[dict[str, Any], str]],
) -> None:
    """Check that a document has exactly the rows of one version."""
    places = Counter((fields["document_hash"], fields["ordinal"]) for fields, _ in rows)
    hashes = {content_hash for content_hash, _ in places}
    said = {mark for _, text in rows for mark in marks(text)}
    facts = {"hashes": sorted(hashes), "version": version.number}
    if len(hashes) > 1:
        checker.report(LEFTOVER, f"{document.name} has rows of {len(hashes)} contents", **facts)
    if max(places.values()) > 1:
        checker.report(DOUBLED, f"{document.name} has the same row twice", **facts)
    for content_hash in hashes:
        ordinals = {ordinal for each, ordinal in places if each == content_hash}
        siblings = {f["siblings"] for f, _ in rows if f["document_hash"] == content_hash}
        if siblings != {len(ordinals)}:
            what = f"{document.name} has {len(ordinals)} rows and should have {siblings}"
            checker.report(HALF, what, **facts)
    if {(mark.document, mark.version) for mark in said} != {(document.number, version.number)}:
        shown = sorted({mark.version for mark in said})
        checker.report(STALE, f"{document.name} has rows of versions {shown}", **facts)
    sections = {mark.section for mark in said if mark.version == version.number} - {None}
    if len(sections) < version.sections:
        checker.report(HALF, f"{document.name} has only sections {sorted(map(str, sections))}")


def _check_collections(checker: Checker, store: "Store") -> None:
    """Check that only the live and the previous index exist, and no lock."""
    from database.index.lock import LOCK

    live = store.live()
    kept = {live.name, live.previous} if live else set()
    for name in store.index_names():
        if name not in kept:
            checker.report(LEFTOVER, f"the collection {name} was left behind")
    if store.find(LOCK) is not None:
        checker.report(LEFTOVER, "a lock was left behind")


def _check_uploads(checker: Checker, store: "Store") -> None:
    """Check that only current uploads exist, and no unfinished job.

    A change that was being written down when the store or the worker died is given up only when
    that could not take longer: until then its text is awaited, and no leftover.
    """
    from database.index.rows import pages
    from database.journal.jobs import Jobs
    from database.journal.uploads import UPLOADS

    collection = store.find(UPLOADS)
    jobs = Jobs(store)
    awaited = jobs.active_ids()
    present = {(d.number, version.number) for d, version in checker.model.present()}
    for page in pages(collection, ["documents", "metadatas"]) if collection else ():
        for fields, text in zip(page["metadatas"], page["documents"], strict=True):
            said = {(mark.document, mark.version) for mark in marks(text)}
            belongs = said <= present if fields["revision"] else fields["job"] in awaited
            if not belongs:
                what = f"an upload of {fields['document']} was left behind"
                shown = {name: fields[name] for name in ("job", "revision", "content_hash")}
                checker.report(LEFTOVER, what, versions=sorted(said - present), **shown)
    for job in jobs.unfinished():
        checker.report(LEFTOVER, f"job {job.id} ({job.kind}) was never finished")
