"""Builds the index from a folder: load, split, embed, store, and only then go live.

A build is a sync. It writes a new collection beside the live one, copies the vectors of what has
not changed, embeds the rest, checks the result and moves the pointer. Killed at any moment and run
again, it goes on where it was: the collection's name follows from its content.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
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
from database.store import Store
from database.swap import go_live
from database.wanted import Wanted, wanted_documents
from dataset.folder import EVERYTHING, Selection
from dataset.sources import sources_of
from dataset.splitting import ChunkSize, CountTokens, split
from utils.errors import (
    DatasetError,
    IndexDamagedError,
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
Held = Mapping[str, tuple[str, int]]
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

    def build(self, folder: Path, selection: Selection = EVERYTHING) -> BuildReport:
        """Bring the index in line with the folder, and with what came through the API.

        Raises:
            DatasetError: the folder is missing or holds no document with text.
            IndexLockedError: another build is running.
            IndexUnavailableError: the store cannot be read or written.
            ModelError: the embedding model cannot be loaded.
        """
        watch = Stopwatch()
        with BuildLock(self.store) as lock, ChunkSpool() as spool:
            with watch("read"):
                wanted = wanted_documents(self.store, folder, selection, self.skipped)
                live_name, before, live_recipe = self._live()
            embeddings = cache(self._loading(watch))
            goal = self._goal(wanted, folder)
            with watch("copy"):
                sources = self._sources(wanted.contents, [goal.collection_name, live_name])
            with watch("split"):
                after = self._split(wanted, sources, spool)
            if after == before and live_recipe and live_recipe.digest() == self.recipe.digest():
                self._write_words(live_name, [], embeddings, watch)
                return _report(before, before, wanted, 0, watch, Check(0, 0.0))
            goal = replace(goal, chunks=sum(n for _, n in after.values()))
            collection = self._open(goal)
            with watch("copy"):
                done = self._copy(collection, sources, goal)
            embedded = self._embed(collection, spool, done, embeddings, watch)
            self._write_words(collection.name, sources, embeddings, watch)
            with watch("check"):
                check = self._check(collection.name, goal)
                go_live(self.store, lock, collection, goal)
            return _report(before, after, wanted, embedded, watch, check)

    def renew(self, lock: BuildLock) -> None:
        """Move to a new collection that holds what the live one holds, and delete all others.

        What was deleted before is then in no collection any more.

        Args:
            lock: Held by the caller.

        Raises:
            IndexUnavailableError: the store cannot be read or written.
        """
        watch = Stopwatch()
        live, _, fingerprint = self.store.live_collection()
        name, held, _ = self._live()
        goal = replace(fingerprint, chunks=sum(n for _, n in held.values()), changed_at="")
        sources = {name: held}
        collection = self._open(goal)
        self._copy(collection, sources, goal)
        self._write_words(collection.name, [live.name], cache(self._loading(watch)), watch)
        self._check(collection.name, goal)
        go_live(self.store, lock, collection, goal, keep_previous=False)

    def _goal(self, wanted: Wanted, folder: Path) -> Fingerprint:
        """What the new index will say of itself; its chunks are not counted yet."""
        return Fingerprint(
            recipe=self.recipe,
            corpus_hash=corpus_hash(wanted.contents),
            documents=len(wanted.contents),
            chunks=0,
            built_at="",
            sources=sources_of(wanted.contents, folder),
        )

    def _live(self) -> tuple[str, Held, Recipe | None]:
        """The live collection's name, documents and recipe; nothing where none is worth keeping."""
        try:
            live, collection, fingerprint = self.store.live_collection()
            check_collection(self.store, live.name)
        except IndexMissingError:
            return "", {}, None
        except IndexDamagedError as error:
            log.warning("%s Building anew.", error)
            return "", {}, None
        with self.store.translated():
            return live.name, rows.whole_documents(collection), fingerprint.recipe

    def _sources(self, contents: Mapping[str, str], first: list[str]) -> dict[str, Held]:
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

    def _split(self, wanted: Wanted, sources: dict[str, Held], spool: ChunkSpool) -> Held:
        """Split what no collection holds; returns what the new index will hold."""
        size = ChunkSize(self.recipe.chunk_size, self.recipe.chunk_overlap)
        after = {name: held for source in sources.values() for name, held in source.items()}
        for document in wanted.documents(wanted.contents.keys() - after.keys()):
            chunks = split(document, size, self.count_tokens)
            if chunks:
                after[document.name] = (document.content_hash, len(chunks))
                spool.extend(chunks)
        if not after:
            raise DatasetError(f"No document in {wanted.folder} holds any text.")
        return after

    def _open(self, goal: Fingerprint) -> "Collection":
        """The new collection: the one an interrupted build left, or a fresh one."""
        name = goal.collection_name
        live = self.store.live()
        there = self.store.find(name)
        made = Fingerprint.from_metadata(there.metadata or {}) if there else None
        if live and (name == live.name or (made and made.changed_at)):
            # That one was changed in place: it no longer holds what its name stands for.
            name = f"{name}-r{live.revision}"
            there = self.store.find(name)
        return there or self.store.create(name, goal.to_metadata(), goal.chunks)

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
                kept = [_as_built(row) for row in page if _belongs(row, documents)]
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

    def _check(self, name: str, goal: Fingerprint) -> Check:
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


def _as_built(row: Row) -> Row:
    """A row that was added in place, as a build stores it."""
    return replace(row, chunk=replace(row.chunk, revision=0)) if row.chunk.revision else row


def _belongs(row: Row, documents: Held) -> bool:
    held = documents.get(row.chunk.document)
    return held is not None and held[0] == row.chunk.document_hash


def _report(
    before: Held, after: Held, wanted: Wanted, embedded: int, watch: Stopwatch, check: Check
) -> BuildReport:
    return BuildReport(
        changes=Changes.between(before, after, len(wanted.contents)),
        chunks=sum(n for _, n in after.values()),
        embedded=embedded,
        seconds=watch.total,
        seconds_by_stage=watch.stages,
        seconds_to_open=check.seconds_to_open,
        from_api=len(wanted.uploaded),
        left_out=wanted.left_out,
    )
