"""Changes a few documents of the live index in place: all of a job's become visible in one step.

    write the new chunks -> move the pointer -> delete what they replaced

Readers take a chunk for real only if the pointer's revision covers it and its document has that
content now, so that the rows of a change under way are seen by nobody, and those it replaced by
nobody any more. Killed at any moment, it is done again by the next writer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from database.index import rows
from database.index.fingerprint import DocumentVersion, Fingerprint
from database.index.live_pointer import LivePointer
from database.index.lock import BuildLock
from database.index.rows import Row
from database.index.store import Store
from database.journal.jobs import DocumentOutcome, Job, Jobs, utc_now
from database.journal.recovery import clean_up
from database.journal.uploads import JournalEntry, Uploads
from dataset.chunks import Chunk
from dataset.documents import Document

if TYPE_CHECKING:
    from chromadb import Collection as ChromaCollection

WINDOW = 32
"""Chunks embedded at a time: searches get their turn in between."""

_CHANGES = ("added", "replaced", "deleted")

SplitDocument = Callable[[Document], list[Chunk]]
JobListener = Callable[[Job], None]


@dataclass(frozen=True, slots=True)
class IndexingTools:
    """What it takes to make chunks and vectors as the live index has them."""

    split: SplitDocument
    embeddings: Embeddings


@dataclass(frozen=True)
class Changer:
    """Runs jobs; the caller holds the lock, and is the process that serves an embedded folder."""

    store: Store
    lock: BuildLock
    tools: Callable[[Fingerprint], IndexingTools]
    """Called only where there is something to embed."""
    on_progress: JobListener = lambda job: None
    """Told how a job stands."""
    verify_deletion: Callable[[str], Mapping[str, Any]] = lambda name: {}
    """Looks for a deleted document wherever a reader might still find it: what was looked at, and
    how often it was found there."""
    rewrite_store: Callable[[BuildLock], None] = lambda lock: None
    """Moves to a new collection and deletes all others."""

    def put(self, job: Job) -> Job:
        """Add or replace a job's documents.

        Raises:
            IndexUnavailableError: the store went away; the job can be run again.
            IndexLockedError: somebody took this process for dead.
        """
        live, collection, fingerprint = self.store.live_collection()
        uploads = Uploads(self.store)
        entries = uploads.of_job(job.id)
        if live.job == job.id or any(entry.revision for entry in entries):
            # Its writer died between making it visible and saying so.
            return self._end(replace(job, state="done"))
        before = self._versions(collection, [entry.document for entry in entries])
        if refused := _lost(job, entries) or _unmet(job, entries, before):
            return self._end(refused, forgetting=entries)
        held = uploads.current(live)
        same = [e for e in entries if _is_held(e, before, held)]
        # The folder has the same: from now on it is the API's too, and stays if the folder's goes.
        claimed = [e for e in same if e.document not in held]
        new = [entry for entry in entries if entry not in same]
        job = replace(
            job,
            state="running",
            done=0,
            outcomes=(
                *_refused_before(job, entries),
                *(_unchanged(before[entry.document]) for entry in same),
            ),
        )
        at = (live, collection, fingerprint)
        job, written = self._write(job, new, before, at) if new else (job, [])
        if written or claimed:
            job = self._show(job, [*claimed, *written], before, at)
        else:
            job = replace(job, revision=live.revision)
        again = [entry for entry in same if entry not in claimed]
        return self._end(replace(job, state="done"), forgetting=again)

    def _write(
        self,
        job: Job,
        new: Sequence[JournalEntry],
        before: Mapping[str, DocumentVersion],
        at: "tuple[LivePointer, ChromaCollection, Fingerprint]",
    ) -> tuple[Job, list[JournalEntry]]:
        """Write documents, seen by nobody yet; gives those that hold any text."""
        live, collection, fingerprint = at
        uploads = Uploads(self.store)
        tools = self.tools(fingerprint)
        made = {entry: tools.split(uploads.document(entry)) for entry in new}
        empty = [entry for entry, chunks in made.items() if not chunks]
        job = replace(
            job,
            total=sum(map(len, made.values())),
            outcomes=(*job.outcomes, *(_without_text(entry) for entry in empty)),
        )
        if empty:
            Jobs(self.store).update(job)  # first: whoever runs it again must know of them
            uploads.delete(empty)
        for entry, chunks in made.items():
            if chunks:
                job = self._embed(job, collection, chunks, live.revision + 1, tools.embeddings)
                job = replace(job, outcomes=(*job.outcomes, _written(entry, chunks, before)))
        return job, [entry for entry in new if entry not in empty]

    def _embed(
        self,
        job: Job,
        collection: "ChromaCollection",
        chunks: Sequence[Chunk],
        revision: int,
        embeddings: Embeddings,
    ) -> Job:
        """Write a document's chunks, seen by nobody yet."""
        for start in range(0, len(chunks), WINDOW):
            window = [replace(chunk, revision=revision) for chunk in chunks[start : start + WINDOW]]
            vectors = embeddings.embed_documents([chunk.text_to_embed for chunk in window])
            self.lock.verify_held()
            with self.store.translate_errors():
                rows.add(collection, [*map(Row, window, vectors)])
            job = replace(job, done=job.done + len(window))
            self.on_progress(job)
        return job

    def delete(self, job: Job) -> Job:
        """Delete a job's document from the live index, and from those beside it.

        To purge it, all else is moved to a new collection, and the older ones are deleted.

        Raises:
            IndexUnavailableError: the store went away; the job can be run again.
            IndexLockedError: somebody took this process for dead.
        """
        live, collection, fingerprint = self.store.live_collection()
        uploads = Uploads(self.store)
        entries = uploads.of_job(job.id)
        if live.job != job.id and (lost := _lost(job, entries)):
            return self._end(lost)
        if live.job != job.id and any(not entry.revision for entry in entries):
            before = self._versions(collection, [entry.document for entry in entries])
            known = before.keys() | uploads.document_names(
                live
            )  # a build would bring back the latter
            job = _unmet(job, entries, before) or _not_there(job, entries, known) or job
            if job.state == "failed":
                return self._end(job, forgetting=entries)
            deleted = tuple(
                DocumentOutcome(entry.document, "deleted", previous=_etag(before, entry.document))
                for entry in entries
            )
            job = replace(job, state="running", outcomes=deleted)
            job = self._show(job, entries, before, (live, collection, fingerprint))
        if job.kind == "purge":
            self.rewrite_store(self.lock)
            job = replace(job, revision=self.store.live_collection()[0].revision)
        (outcome,) = job.outcomes
        checked = dict(self.verify_deletion(outcome.name))
        job = replace(job, state="done", checked=checked)
        return self._end(job)

    def _show(
        self,
        job: Job,
        entries: Sequence[JournalEntry],
        before: Mapping[str, DocumentVersion],
        at: "tuple[LivePointer, ChromaCollection, Fingerprint]",
    ) -> Job:
        """Move the pointer, and delete what was replaced."""
        live, _, fingerprint = at
        job = replace(job, revision=live.revision + 1)
        Jobs(self.store).update(job)
        changed = [outcome.name for outcome in job.outcomes if outcome.outcome in _CHANGES]
        after = fingerprint.after(
            removed=[before[name] for name in changed if name in before],
            added=[
                DocumentVersion(outcome.name, outcome.etag, outcome.chunks)
                for outcome in job.outcomes
                if outcome.outcome in ("added", "replaced")
            ],
        )
        self.lock.verify_held()
        live = self.store.advance(live, job.id, after)
        clean_up(self.store, live, entries)
        return replace(job, revision=live.revision)

    def _versions(
        self, collection: "ChromaCollection", names: Sequence[str]
    ) -> dict[str, DocumentVersion]:
        with self.store.translate_errors():
            held = rows.read_documents(collection, names)
        return {c.document: DocumentVersion(c.document, c.document_hash, c.siblings) for c in held}

    def _end(self, job: Job, forgetting: Sequence[JournalEntry] = ()) -> Job:
        """Write down how a job ended, and only then forget what it brought.

        The other way round it would end otherwise where it is run again.
        """
        job = replace(job, finished_at=utc_now())
        Jobs(self.store).update(job)
        Uploads(self.store).delete(forgetting)
        self.on_progress(job)
        return job


def _etag(before: Mapping[str, DocumentVersion], name: str) -> str:
    """The content hash that a document had; "" where there was none."""
    return before[name].content_hash if name in before else ""


def _unmet(
    job: Job, entries: Sequence[JournalEntry], before: Mapping[str, DocumentVersion]
) -> Job | None:
    """The job as failed, where a document is not what it was to be."""
    for entry in entries:
        if not job.condition.is_met_by(_etag(before, entry.document)):
            return _failed(
                job,
                "precondition-failed",
                "The document is no longer what If-Match or If-None-Match says. Read it again.",
            )
    return None


def _lost(job: Job, entries: Sequence[JournalEntry]) -> Job | None:
    """The job as failed, where nothing is left of what it brought."""
    if entries or job.outcomes:
        return None
    return _failed(job, "internal-error", "What was sent is no longer there. Send it again.")


def _is_held(
    entry: JournalEntry, before: Mapping[str, DocumentVersion], held: Mapping[str, JournalEntry]
) -> bool:
    """Whether the index holds this already, and the next build would not bring something else."""
    name, content = entry.document, entry.content_hash
    kept = held[name].content_hash if name in held else content
    return _etag(before, name) == kept == content


def _not_there(job: Job, entries: Sequence[JournalEntry], known: Collection[str]) -> Job | None:
    """The job as failed, where there is no such document."""
    if all(entry.document in known for entry in entries):
        return None
    return _failed(job, "document-not-found", "The index holds no document of this name.")


def _failed(job: Job, problem: str, detail: str) -> Job:
    return replace(job, state="failed", problem=problem, detail=detail)


def _unchanged(version: DocumentVersion) -> DocumentOutcome:
    return DocumentOutcome(
        version.name,
        "unchanged",
        etag=version.content_hash,
        previous=version.content_hash,
        chunks=version.chunks,
    )


def _written(
    entry: JournalEntry, chunks: Sequence[Chunk], before: Mapping[str, DocumentVersion]
) -> DocumentOutcome:
    previous = _etag(before, entry.document)
    return DocumentOutcome(
        entry.document,
        "replaced" if previous else "added",
        etag=entry.content_hash,
        previous=previous,
        chunks=len(chunks),
        embedded=len(chunks),
    )


def _refused_before(job: Job, entries: Sequence[JournalEntry]) -> list[DocumentOutcome]:
    """What was refused when it was sent; and by a writer that died, what it had forgotten then."""
    tried = {_without_text(entry) for entry in entries}
    return [o for o in job.outcomes if o.outcome == "refused" and o not in tried]


def _without_text(entry: JournalEntry) -> DocumentOutcome:
    return DocumentOutcome(entry.document, "refused", reason="it holds no text, or only links")
