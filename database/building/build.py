"""Builds the index from a folder: load, split, embed, store, and only then go live.

A build is a sync. It writes a new collection beside the live one, copies the vectors of what has
not changed, embeds the rest, checks the result and moves the pointer. Killed at any moment and run
again, it goes on where it was: the collection's name follows from its content.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.building.chunk_spool import ChunkSpool
from database.building.desired_state import DesiredState, read_desired_state
from database.building.report import BuildReport, Stopwatch, SyncChanges
from database.building.reuse import collections_to_copy, read_live_documents
from database.building.upsert import CollectionWriter
from database.index import rows
from database.index.check import CollectionCheck, check_collection
from database.index.fingerprint import Fingerprint, Recipe, corpus_hash
from database.index.go_live import go_live
from database.index.lock import BuildLock
from database.index.rows import StoredDocuments
from database.index.store import Store
from dataset.folder import ALL_DOCUMENTS, Selection
from dataset.progress import Progress, ignore_progress
from dataset.sources.provenance import sources_of
from dataset.splitting import ChunkSize, CountTokens, split_document
from utils.errors import DatasetError, IndexDamagedError

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)

WINDOW = 256
"""Chunks embedded and stored at a time: what a kill loses at most."""


@dataclass(frozen=True)
class Builder:
    """What every build needs; tests pass other parts in."""

    store: Store
    recipe: Recipe
    count_tokens: CountTokens
    load_embeddings: Callable[[], Embeddings]
    """Called only where there is something to embed: loading takes seconds."""
    progress: Progress = ignore_progress
    skipped: Callable[[str], None] = log.warning
    window: int = WINDOW
    """Chunks embedded and stored at a time."""

    def build(self, folder: Path, selection: Selection = ALL_DOCUMENTS) -> BuildReport:
        """Bring the index in line with the folder, and with what came through the API.

        Raises:
            DatasetError: the folder is missing or holds no document with text.
            IndexLockedError: another build is running.
            IndexUnavailableError: the store cannot be read or written.
            ModelError: the embedding model cannot be loaded.
        """
        watch = Stopwatch()
        filling = CollectionWriter(self.store, self.progress, watch)
        with BuildLock(self.store) as lock, ChunkSpool() as spool:
            with watch("read"):
                wanted = read_desired_state(self.store, folder, selection, self.skipped)
                live_name, before, live_recipe = read_live_documents(self.store)
            embeddings = cache(self._loading(watch))
            goal = self._goal(wanted, folder)
            with watch("copy"):
                sources = collections_to_copy(
                    self.store, self.recipe, wanted.contents, [goal.collection_name, live_name]
                )
            with watch("split"):
                after = self._split(wanted, sources, spool)
            if after == before and live_recipe and live_recipe.digest() == self.recipe.digest():
                filling.write_words(live_name, [], embeddings)
                return _report(before, before, wanted, 0, watch, CollectionCheck(0, 0.0))
            goal = replace(goal, chunks=sum(n for _, n in after.values()))
            collection = self._collection_for(goal)
            with watch("copy"):
                done = filling.copy(collection, sources, goal.chunks)
            embedded = filling.embed(collection, spool, done, embeddings, self.window)
            filling.write_words(collection.name, sources, embeddings)
            with watch("check"):
                check = self._check(collection.name, goal)
                go_live(self.store, lock, collection, goal)
            return _report(before, after, wanted, embedded, watch, check)

    def rewrite(self, lock: BuildLock) -> None:
        """Move to a new collection that holds what the live one holds, and delete all others.

        What was deleted before is then in no collection any more.

        Args:
            lock: Held by the caller.

        Raises:
            IndexDamagedError: the live one is not whole; it stays.
            IndexUnavailableError: the store cannot be read or written.
        """
        filling = CollectionWriter(self.store, self.progress, Stopwatch())
        live, source, fingerprint = self.store.live_collection()
        with self.store.translate_errors():
            held = rows.whole_documents(source)
        if sum(n for _, n in held.values()) != fingerprint.chunks:
            raise IndexDamagedError(
                f"The index at {self.store.database} lacks chunks that it should hold, so it is "
                f"not moved. Build it again: {self.store.build_command}"
            )
        goal = replace(fingerprint, changed_at="")
        # A name of its own: one that a build gave may have held in place what was deleted since.
        collection = self._find_or_create(goal, f"{goal.collection_name}-r{live.revision}")
        filling.copy(collection, {live.name: held}, goal.chunks)
        filling.write_words(collection.name, [live.name], cache(self.load_embeddings))
        self._check(collection.name, goal)
        go_live(self.store, lock, collection, goal, keep_previous=False)

    def _goal(self, wanted: DesiredState, folder: Path) -> Fingerprint:
        """What the new index will say of itself; its chunks are not counted yet."""
        return Fingerprint(
            recipe=self.recipe,
            corpus_hash=corpus_hash(wanted.contents),
            documents=len(wanted.contents),
            chunks=0,
            built_at="",
            sources=sources_of(wanted.contents, folder),
        )

    def _split(
        self, wanted: DesiredState, sources: dict[str, StoredDocuments], spool: ChunkSpool
    ) -> StoredDocuments:
        """Split what no collection holds; returns what the new index will hold."""
        size = ChunkSize(self.recipe.chunk_size, self.recipe.chunk_overlap)
        after = {name: held for source in sources.values() for name, held in source.items()}
        for document in wanted.documents(wanted.contents.keys() - after.keys()):
            chunks = split_document(document, size, self.count_tokens)
            if chunks:
                after[document.name] = (document.content_hash, len(chunks))
                spool.extend(chunks)
        if not after:
            raise DatasetError(f"No document in {wanted.folder} holds any text.")
        return after

    def _collection_for(self, goal: Fingerprint) -> "Collection":
        """The new collection: the one an interrupted build left, or a fresh one."""
        name = goal.collection_name
        live = self.store.live()
        there = self.store.find(name)
        made = Fingerprint.from_metadata(there.metadata or {}) if there else None
        if live and (name == live.name or (made and made.changed_at)):
            # That one was changed in place: it no longer holds what its name stands for.
            name = f"{name}-r{live.revision}"
        return self._find_or_create(goal, name)

    def _find_or_create(self, goal: Fingerprint, name: str) -> "Collection":
        """The collection of this name, with what an interrupted run left in it."""
        return self.store.find(name) or self.store.create(name, goal.to_metadata(), goal.chunks)

    def _loading(self, watch: Stopwatch) -> Callable[[], Embeddings]:
        def load() -> Embeddings:
            with watch("load model"):
                return self.load_embeddings()

        return load

    def _check(self, name: str, goal: Fingerprint) -> CollectionCheck:
        """Hold the finished collection against what it should be.

        Raises:
            IndexDamagedError: it is not that; it was deleted and never went live.
        """
        try:
            check = check_collection(self.store, name)
        except IndexDamagedError:
            self.store.delete(name)
            raise
        if check.rows != goal.chunks:
            self.store.delete(name)
            raise IndexDamagedError(
                f"The new index holds {check.rows} chunks and should hold {goal.chunks}. It did "
                "not go live; run the build again."
            )
        return check


def _report(
    before: StoredDocuments,
    after: StoredDocuments,
    wanted: DesiredState,
    embedded: int,
    watch: Stopwatch,
    check: CollectionCheck,
) -> BuildReport:
    return BuildReport(
        changes=SyncChanges.between(before, after, len(wanted.contents)),
        chunks=sum(n for _, n in after.values()),
        embedded=embedded,
        seconds=watch.total,
        seconds_by_stage=watch.stages,
        seconds_to_open=check.seconds_to_open,
        from_api=len(wanted.uploaded),
        left_out=wanted.left_out,
    )
