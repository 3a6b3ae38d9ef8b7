"""Builds the index from a folder: load, split, embed, store, and only then go live.

A build is a sync. It writes a new collection beside the live one, copies the vectors of what has
not changed, embeds the rest, checks the result and moves the pointer. Killed at any moment and run
again, it goes on where it was: the collection's name follows from its content.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from database import rows, word_vectors
from database.check import Check, check_collection
from database.fingerprint import Fingerprint, Recipe, corpus_hash
from database.lock import BuildLock
from database.related_words import corpus_words
from database.report import BuildReport, Changes, Stopwatch
from database.rows import Row
from database.spool import ChunkSpool
from database.store import NEVER_SYNC, Store
from dataset.documents import load
from dataset.sources import sources_of
from dataset.splitting import ChunkSize, CountTokens, split
from utils.errors import (
    DatasetError,
    IndexDamagedError,
    IndexLockedError,
    IndexMissingError,
    StoreUnreachableError,
)

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)

T = TypeVar("T")

WINDOW = 256
"""Chunks embedded and stored at a time: what a kill loses at most."""
OUTAGE_SECONDS = 60
"""How long a build waits for a server that went away."""

Progress = Callable[[int, int], None]
"""Told after each step how many chunks are stored and how many there will be."""
Held = dict[str, tuple[str, int]]
"""Documents in a collection: name to (content hash, number of chunks)."""


@dataclass(frozen=True)
class Builder:
    """What every build needs; tests pass other parts in."""

    store: Store
    recipe: Recipe
    count_tokens: CountTokens
    load_embeddings: Callable[[], Embeddings]
    """Called only where there is something to embed: loading takes seconds."""
    progress: Progress = lambda done, total: None
    skipped: Callable[[str], None] = log.warning
    window: int = WINDOW
    """Chunks embedded and stored at a time."""

    def build(self, folder: Path) -> BuildReport:
        """Bring the index in line with the folder.

        Raises:
            DatasetError: the folder is missing or holds no document with text.
            IndexLockedError: another build is running.
            IndexUnavailableError: the store cannot be read or written.
            ModelError: the embedding model cannot be loaded.
        """
        watch = Stopwatch()
        with BuildLock(self.store) as lock, ChunkSpool() as spool:
            with watch("read"):
                contents = {d.name: d.content_hash for d in load(folder, self.skipped)}
                goal = self._goal(contents, folder)
                live_name, before = self._live()
            embeddings = cache(self._loading(watch))
            if live_name == goal.collection_name:
                self._write_words(live_name, [], embeddings, watch)
                return _report(before, before, goal, 0, watch, Check(0, 0.0))
            with watch("copy"):
                sources = self._sources(contents, [goal.collection_name, live_name])
            with watch("split"):
                after = self._split(folder, contents, sources, spool)
            goal = replace(goal, chunks=sum(n for _, n in after.values()))
            collection = self._open(goal)
            with watch("copy"):
                done = self._copy(collection, sources, goal)
            embedded = self._embed(collection, spool, done, embeddings, watch)
            self._write_words(collection.name, sources, embeddings, watch)
            with watch("check"):
                check = self._check(goal)
                self._go_live(collection, goal, lock)
            return _report(before, after, goal, embedded, watch, check)

    def _goal(self, contents: dict[str, str], folder: Path) -> Fingerprint:
        """What the new index will say of itself; its chunks are not counted yet."""
        return Fingerprint(
            recipe=self.recipe,
            corpus_hash=corpus_hash(contents),
            documents=len(contents),
            chunks=0,
            built_at="",
            sources=sources_of(contents, folder),
        )

    def _live(self) -> tuple[str, Held]:
        """The live collection's name and documents; nothing where none is worth keeping."""
        try:
            live, collection, _ = self.store.live_collection()
            check_collection(self.store, live.name)
        except IndexMissingError:
            return "", {}
        except IndexDamagedError as error:
            log.warning("%s Building anew.", error)
            return "", {}
        with self.store.translated():
            return live.name, rows.whole_documents(collection)

    def _sources(self, contents: dict[str, str], first: list[str]) -> dict[str, Held]:
        """Collections to copy from, each with the documents it holds whole and up to date.

        First what an interrupted build towards the same goal left, then the live one, then others.
        A damaged one is deleted: nothing can be had from it.
        """
        sources: dict[str, Held] = {}
        wanted = set(contents.items())
        names = self.store.index_names()
        for name in sorted(names, key=lambda name: first.index(name) if name in first else 2):
            collection = self.store.find(name)
            found = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
            if not collection or not found or found.recipe.digest() != self.recipe.digest():
                continue
            if name != first[1] and not self._readable(name):  # the live one was looked at
                continue
            with self.store.translated():
                held = rows.whole_documents(collection)
            sources[name] = {n: held[n] for n in held if (n, held[n][0]) in wanted}
            wanted -= {(n, held[n][0]) for n in sources[name]}
        return sources

    def _readable(self, name: str) -> bool:
        """Whether a collection can be read; it is deleted if not."""
        try:
            check_collection(self.store, name)
        except IndexDamagedError:
            log.warning("Deleting the damaged collection %s", name)
            self.store.delete(name)
            return False
        return True

    def _split(
        self, folder: Path, contents: dict[str, str], sources: dict[str, Held], spool: ChunkSpool
    ) -> Held:
        """Split what no collection holds; returns what the new index will hold."""
        size = ChunkSize(self.recipe.chunk_size, self.recipe.chunk_overlap)
        after: Held = {name: held for source in sources.values() for name, held in source.items()}
        for document in load(folder, lambda skipped: None):
            if document.name in after or document.name not in contents:
                continue
            if contents[document.name] != document.content_hash:
                raise DatasetError(f"{document.name} changed during the build. Run it again.")
            chunks = split(document, size, self.count_tokens)
            if chunks:
                after[document.name] = (document.content_hash, len(chunks))
                spool.extend(chunks)
        if not after:
            raise DatasetError(f"No document in {folder} holds any text.")
        return after

    def _open(self, goal: Fingerprint) -> "Collection":
        """The new collection: the one an interrupted build left, or a fresh one."""
        return self.store.find(goal.collection_name) or self.store.create(
            goal.collection_name, goal.to_metadata(), goal.chunks
        )

    def _copy(self, collection: "Collection", sources: dict[str, Held], goal: Fingerprint) -> int:
        """Take over what has not changed; returns how many chunks are in place after it."""
        done = 0
        for name, documents in sources.items():
            source = self.store.find(name)
            if source is None or name == collection.name:
                done += sum(n for _, n in documents.values())
                continue
            offset = 0
            while page := self._persistently(partial(rows.read_page, source, offset)):
                offset += len(page)
                kept = [row for row in page if _belongs(row, documents)]
                # Chroma counts a repeated row towards its one write to disk: it would come early.
                ids = [row.chunk.id for row in kept]
                missing = self._persistently(partial(rows.missing, collection, ids))
                self._store(collection, [row for row in kept if row.chunk.id in missing])
                done += len(kept)
                self.progress(done, goal.chunks)
        return done

    def _embed(
        self,
        collection: "Collection",
        spool: ChunkSpool,
        done: int,
        embeddings: Callable[[], Embeddings],
        watch: Stopwatch,
    ) -> int:
        """Embed and store what no collection held; returns how many chunks that were."""
        embedded = 0
        total = done + len(spool)
        for window in spool.windows(self.window):
            ids = [chunk.id for chunk in window]
            missing = self._persistently(partial(rows.missing, collection, ids))
            todo = [chunk for chunk in window if chunk.id in missing]
            if todo:
                model = embeddings()
                with watch("embed"):
                    vectors = model.embed_documents([chunk.text_to_embed for chunk in todo])
                with watch("store"):
                    self._store(collection, [*map(Row, todo, vectors)])
                embedded += len(todo)
            done += len(window)
            self.progress(done, total)
        return embedded

    def _loading(self, watch: Stopwatch) -> Callable[[], Embeddings]:
        def load() -> Embeddings:
            with watch("load model"):
                return self.load_embeddings()

        return load

    def _write_words(
        self,
        index: str,
        known: Iterable[str],
        embeddings: Callable[[], Embeddings],
        watch: Stopwatch,
    ) -> None:
        """Have the vectors of the index's words beside it, unless they are there."""

        def write() -> None:
            collection = self.store.find(index)
            if collection is None or word_vectors.are_written(self.store, index):
                return
            words = corpus_words(chunk.text_to_embed for chunk in rows.read_chunks(collection))
            word_vectors.write(
                self.store, index, words, lambda texts: embeddings().embed_documents(texts), known
            )

        with watch("words"):
            self._persistently(write)

    def _store(self, collection: "Collection", new: list[Row]) -> None:
        self._persistently(partial(rows.add, collection, new))

    def _persistently(self, action: Callable[[], T]) -> T:
        """Do it, and again for a while where the server is away."""

        def translated() -> T:
            with self.store.translated():
                return action()

        return Retrying(
            retry=retry_if_exception_type(StoreUnreachableError),
            wait=wait_exponential(multiplier=0.2, max=2),
            stop=stop_after_delay(OUTAGE_SECONDS),
            reraise=True,
        )(translated)

    def _check(self, goal: Fingerprint) -> Check:
        """Hold the finished collection against what it should be.

        Raises:
            IndexDamagedError: it is not that; it was deleted and never went live.
        """
        try:
            check = check_collection(self.store, goal.collection_name)
        except IndexDamagedError:
            self.store.delete(goal.collection_name)
            raise
        if check.rows != goal.chunks:
            self.store.delete(goal.collection_name)
            raise IndexDamagedError(
                f"The new index holds {check.rows} chunks and should hold {goal.chunks}. It did "
                "not go live; run the build again."
            )
        return check

    def _go_live(self, collection: "Collection", goal: Fingerprint, lock: BuildLock) -> None:
        """Note when it was built, move the pointer, and delete what is older than the last two."""
        if not lock.held():
            raise IndexLockedError("Another build took this one for dead. Run the build again.")
        built = replace(goal, built_at=datetime.now(UTC).isoformat(timespec="seconds"))
        with self.store.translated():
            collection.modify(
                metadata=built.to_metadata(),
                configuration={"hnsw": {"sync_threshold": NEVER_SYNC}},
            )
        self.store.point_at(goal.collection_name)
        live = self.store.live()
        keep = {live.name, live.previous} if live else set()
        for name in self.store.index_names():
            if name not in keep:
                self.store.delete(name)
        word_vectors.delete_orphans(self.store)


def _belongs(row: Row, documents: Held) -> bool:
    held = documents.get(row.chunk.document)
    return held is not None and held[0] == row.chunk.document_hash


def _report(
    before: Held, after: Held, goal: Fingerprint, embedded: int, watch: Stopwatch, check: Check
) -> BuildReport:
    return BuildReport(
        changes=Changes.between(before, after, goal.documents),
        chunks=sum(n for _, n in after.values()),
        embedded=embedded,
        seconds=watch.total,
        seconds_by_stage=watch.stages,
        seconds_to_open=check.seconds_to_open,
    )
