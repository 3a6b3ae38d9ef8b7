"""What becomes of a job's documents: outcomes, unmet preconditions, and the job's failure."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from database.index.fingerprint import DocumentVersion
from database.journal.jobs import DocumentOutcome, Job, utc_now
from database.journal.uploads import JournalEntry
from dataset.chunks import Chunk
from utils.errors import (
    DatasetError,
    DiskFullError,
    EmbeddingRefusedError,
    IndexMismatchError,
    ModelError,
    StoreProcessError,
)
from utils.settings import build_command

Versions = Mapping[str, DocumentVersion]
"""Document name to its version in the index."""


def indexed_hash(before: Versions, name: str) -> str:
    """The content hash of a document in the index; "" if the index has none of this name."""
    return before[name].content_hash if name in before else ""


def is_unchanged(
    entry: JournalEntry, before: Versions, journal: Mapping[str, JournalEntry]
) -> bool:
    """True if the index has this content already and the next build would not change it."""
    name, content = entry.document, entry.content_hash
    journaled = journal[name].content_hash if name in journal else content
    return indexed_hash(before, name) == journaled == content


def unchanged(version: DocumentVersion) -> DocumentOutcome:
    """The outcome of a document whose content the index has already."""
    return DocumentOutcome(
        version.name,
        "unchanged",
        etag=version.content_hash,
        previous=version.content_hash,
        chunks=version.chunks,
    )


def written(entry: JournalEntry, chunks: Sequence[Chunk], before: Versions) -> DocumentOutcome:
    """The outcome of a document that was added or replaced."""
    previous = indexed_hash(before, entry.document)
    return DocumentOutcome(
        entry.document,
        "replaced" if previous else "added",
        etag=entry.content_hash,
        previous=previous,
        chunks=len(chunks),
        embedded=len(chunks),
    )


def without_text(entry: JournalEntry) -> DocumentOutcome:
    """The outcome of a document that has no chunk."""
    return DocumentOutcome(entry.document, "refused", reason="it contains no text, or only links")


def refused_before(job: Job, entries: Sequence[JournalEntry]) -> list[DocumentOutcome]:
    """The documents refused on upload, and those that a killed run refused and deleted."""
    tried = {without_text(entry) for entry in entries}
    return [o for o in job.outcomes if o.outcome == "refused" and o not in tried]


def fail_if_lost(job: Job, entries: Sequence[JournalEntry]) -> Job | None:
    """The failed job if its journal entries are gone."""
    if entries or job.outcomes:
        return None
    return _failed(job, "internal-error", "What was sent is no longer there. Send it again.")


def fail_if_unmet(
    job: Job, entries: Sequence[JournalEntry], before: Versions, known: Set[str] | None = None
) -> Job | None:
    """The failed job if a document does not meet its precondition, or is not one of `known`."""
    names = {entry.document for entry in entries}
    if not all(job.condition.is_met_by(indexed_hash(before, name)) for name in names):
        detail = "The document does not match If-Match or If-None-Match. Read it again."
        return _failed(job, "precondition-failed", detail)
    if known is not None and not names <= known:
        return _failed(job, "document-not-found", "The index contains no document of this name.")
    return None


def fail(job: Job, error: Exception) -> Job:
    """The job as failed by an error that a retry would meet again."""
    problem, detail = "internal-error", "An unexpected error occurred; see the service's log."
    if isinstance(error, EmbeddingRefusedError):
        problem = "document-refused"
        detail = "The embedding API rejected the document's text; see the service's log."
    elif isinstance(error, DatasetError):
        problem, detail = "document-refused", str(error)
    elif isinstance(error, DiskFullError):
        problem, detail = "disk-full", error.detail
    elif isinstance(error, StoreProcessError):
        problem, detail = "store-unreachable", error.detail
    elif isinstance(error, IndexMismatchError | ModelError):
        problem = "model-mismatch"
        detail = f"The operator must build the index again ({build_command()})."
    return replace(_failed(job, problem, detail), finished_at=utc_now())


def _failed(job: Job, problem: str, detail: str) -> Job:
    return replace(job, state="failed", problem=problem, detail=detail)
