"""Changes documents of the live index in place; all changes of a job become visible in one step.

    write the new chunks -> move the pointer -> delete the chunks that they replace

Readers use a chunk only if the pointer's revision covers it and its content hash is its document's
current one. So they see neither the rows of an unfinished change nor the replaced rows. A change
killed at any moment is repeated by the next writer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from database.changing import outcomes
from database.changing.outcomes import Versions
from database.index import rows
from database.index.digests import Digests
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
    from chromadb import Collection

WINDOW = 32
"""Chunks embedded at a time; searches use the model in between."""

SplitDocument = Callable[[Document], list[Chunk]]
JobListener = Callable[[Job], None]


@dataclass(frozen=True, slots=True)
class IndexingTools:
    """Splitter and embedding model of the live index."""

    split: SplitDocument
    embeddings: Embeddings


@dataclass(frozen=True)
class Changer:
    """Runs jobs; the caller holds the lock, and is the process that serves an embedded folder."""

    store: Store
    lock: BuildLock
    tools: Callable[[Fingerprint], IndexingTools]
    """Called only if there is something to embed."""
    on_progress: JobListener = lambda job: None
    verify_deletion: Callable[[str], Mapping[str, Any]] = lambda name: {}
    """Searches every place where a reader could still find a deleted document; returns the number
    of hits by place."""
    rewrite_store: Callable[[BuildLock], None] = lambda lock: None
    """Copies all rows to new collections and deletes the old ones."""

    def put(self, job: Job) -> Job:
        """Add or replace a job's documents.

        Raises:
            IndexUnavailableError: the store is unreachable; the job can be run again.
            IndexLockedError: another writer took over the lock after our heartbeat lapsed.
        """
        live, collection, fingerprint = self.store.live_collection()
        uploads = Uploads(self.store)
        entries = uploads.of_job(job.id)

        # Finish a job whose writer was killed between making it visible and recording that.
        if live.job == job.id or any(entry.revision for entry in entries):
            return self._end(replace(job, state="done"))

        # Fail if the documents are not as the job requires.
        before = self._versions(collection, entries)
        if failed := (
            outcomes.fail_if_lost(job, entries) or outcomes.fail_if_unmet(job, entries, before)
        ):
            return self._end(failed, delete=entries)

        # Tell new documents from unchanged ones. An unchanged document of the folder now belongs to
        # the API too: it stays if the folder's is removed.
        journal = uploads.current(live)
        same = [entry for entry in entries if outcomes.is_unchanged(entry, before, journal)]
        claimed = [entry for entry in same if entry.document not in journal]
        new = [entry for entry in entries if entry not in same]
        job = replace(
            job,
            state="running",
            done=0,
            outcomes=(
                *outcomes.refused_before(job, entries),
                *(outcomes.unchanged(before[entry.document]) for entry in same),
            ),
        )

        # Split, embed and write the new documents, still invisible.
        written: list[JournalEntry] = []
        if new:
            tools = self.tools(fingerprint)
            job, chunks = self._split(job, new, tools.split)
            for entry in chunks:
                job = self._write(
                    job, collection, chunks[entry], live.revision + 1, tools.embeddings
                )
                outcome = outcomes.written(entry, chunks[entry], before)
                job = replace(job, outcomes=(*job.outcomes, outcome))
            written = [*chunks]

        # Make them visible, and record the job's end.
        if written or claimed:
            entries = [*claimed, *written]
            job = self._publish(job, entries, before, live, collection, fingerprint)
        else:
            job = replace(job, revision=live.revision)
        redundant = [entry for entry in same if entry not in claimed]
        return self._end(replace(job, state="done"), delete=redundant)

    def _split(
        self, job: Job, new: Sequence[JournalEntry], split: SplitDocument
    ) -> tuple[Job, dict[JournalEntry, list[Chunk]]]:
        """Split a job's documents; those without text are refused and deleted from the journal."""
        uploads = Uploads(self.store)
        chunks = {entry: split(uploads.document(entry)) for entry in new}
        empty = [entry for entry in new if not chunks[entry]]
        job = replace(
            job,
            total=sum(map(len, chunks.values())),
            outcomes=(*job.outcomes, *map(outcomes.without_text, empty)),
        )
        if empty:
            Jobs(self.store).update(job)  # before the deletion: the next run must know of them
            uploads.delete(empty)
        return job, {entry: found for entry, found in chunks.items() if found}

    def _write(
        self,
        job: Job,
        collection: "Collection",
        chunks: Sequence[Chunk],
        revision: int,
        embeddings: Embeddings,
    ) -> Job:
        """Embed and write a document's chunks; they are invisible before this revision."""
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
        """Delete a job's document from the live index and from all other collections.

        A purge also copies everything else to new collections and deletes the old ones.

        Raises:
            IndexUnavailableError: the store is unreachable; the job can be run again.
            IndexLockedError: another writer took over the lock after our heartbeat lapsed.
        """
        live, collection, fingerprint = self.store.live_collection()
        uploads = Uploads(self.store)
        entries = uploads.of_job(job.id)
        is_visible = live.job == job.id
        if not is_visible and (lost := outcomes.fail_if_lost(job, entries)):
            return self._end(lost)

        # Delete the document, unless a killed writer of this job has made that visible.
        if not is_visible and any(not entry.revision for entry in entries):
            before = self._versions(collection, entries)
            # A document that only the journal has would be brought back by the next build.
            known = before.keys() | uploads.document_names(live)
            if failed := outcomes.fail_if_unmet(job, entries, before, known):
                return self._end(failed, delete=entries)
            deleted = tuple(
                DocumentOutcome(name, "deleted", previous=outcomes.indexed_hash(before, name))
                for name in (entry.document for entry in entries)
            )
            job = replace(job, state="running", outcomes=deleted)
            job = self._publish(job, entries, before, live, collection, fingerprint)

        # Purge.
        if job.kind == "purge":
            self.rewrite_store(self.lock)
            job = replace(job, revision=self.store.live_collection()[0].revision)

        # Verify that no reader can find the document, and record the job's end.
        (outcome,) = job.outcomes
        return self._end(
            replace(job, state="done", checked=dict(self.verify_deletion(outcome.name)))
        )

    def _publish(
        self,
        job: Job,
        entries: Sequence[JournalEntry],
        before: Versions,
        live: LivePointer,
        collection: "Collection",
        fingerprint: Fingerprint,
    ) -> Job:
        """Move the pointer, and delete what the job has replaced."""
        job = replace(job, revision=live.revision + 1)
        Jobs(self.store).update(job)
        added = [o for o in job.outcomes if o.outcome in ("added", "replaced")]
        removed = [o for o in job.outcomes if o.outcome in ("replaced", "deleted")]
        changed = fingerprint.after(
            removed=[before[o.name] for o in removed if o.name in before],
            added=[DocumentVersion(o.name, o.etag, o.chunks) for o in added],
            difference=self._difference(collection, entries, live),
        )
        self.lock.verify_held()
        live = self.store.advance(live, job.id, changed)
        clean_up(self.store, live, entries)
        return replace(job, revision=live.revision)

    def _difference(
        self, collection: "Collection", entries: Sequence[JournalEntry], live: LivePointer
    ) -> Digests:
        """The digests of the rows that a job makes visible less those of the rows it replaces."""
        current = {entry.document: entry.content_hash for entry in entries}
        with self.store.translate_errors():
            found = [*map(rows.to_row, rows.read_raw_rows(collection, [*current]))]
        before, after = Digests(), Digests()
        before.add_rows(row for row in found if row.chunk.revision <= live.revision)
        after.add_rows(
            row for row in found if row.chunk.document_hash == current[row.chunk.document]
        )
        return after - before

    def _versions(
        self, collection: "Collection", entries: Sequence[JournalEntry]
    ) -> dict[str, DocumentVersion]:
        with self.store.translate_errors():
            chunks = rows.read_documents(collection, [entry.document for entry in entries])
        return {
            c.document: DocumentVersion(c.document, c.document_hash, c.siblings) for c in chunks
        }

    def _end(self, job: Job, delete: Sequence[JournalEntry] = ()) -> Job:
        """Record the job's end, and only then delete journal entries.

        In the reverse order, a job that is killed in between would end differently in its next run.
        """
        job = replace(job, finished_at=utc_now())
        Jobs(self.store).update(job)
        Uploads(self.store).delete(delete)
        self.on_progress(job)
        return job
