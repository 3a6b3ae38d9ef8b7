"""Builds the index from a folder: load, split, embed, store, check, go live.

A build is a sync. It writes a new collection beside the live one: copies the vectors of unchanged
documents, embeds the rest, checks the result and moves the pointer. Killed at any moment and run
again, it resumes, since the collection's name is derived from its content.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.building.chunk_spool import ChunkSpool
from database.building.deletions import check_deletions
from database.building.desired_state import DesiredState, read_desired_state
from database.building.intact_documents import read_intact_documents
from database.building.report import BuildReport, Stopwatch, SyncChanges
from database.building.reuse import collections_to_copy, read_live_index
from database.building.upsert import CollectionWriter
from database.embedding.models import EmbeddingModel
from database.index.checks.collection_check import CollectionCheck, check_new_collection
from database.index.connection import damaged_index_error
from database.index.disk_space import BYTES_PER_CHARACTER, check_space
from database.index.fingerprint import Fingerprint, Recipe, corpus_hash
from database.index.go_live import go_live, write_missing_digests
from database.index.lock import BuildLock
from database.index.rows import StoredDocuments
from database.index.store import Store
from dataset.listing import ALL_DOCUMENTS, Selection
from dataset.progress import Progress, ignore_progress
from dataset.sources.provenance import sources_of
from dataset.splitting import CHUNKER_VERSION, ChunkSize, CountTokens, split_document
from utils.errors import DatasetError
from utils.settings import Backend, Device

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)

WINDOW = 1024
"""Chunks embedded and stored at a time. Larger requests store faster, because each is a transaction
of SQLite: 12,597 chunks took 28 s with 256, 15 s with 1024, 13 s with 4096."""


@dataclass(frozen=True)
class Builder:
    """Builds the index of one store with one recipe."""

    store: Store
    recipe: Recipe
    count_tokens: CountTokens
    load_embeddings: Callable[[], Embeddings]
    """Called only if there is something to embed: loading takes seconds."""
    progress: Progress = ignore_progress
    skipped: Callable[[str], None] = log.warning
    window: int = WINDOW

    def build(
        self,
        folder: Path,
        selection: Selection = ALL_DOCUMENTS,
        *,
        folder_only: bool = False,
        allow_deletions: bool = False,
    ) -> BuildReport:
        """Make the index equal to the folder plus the changes made through the API.

        Args:
            folder: The documents.
            selection: Selects some of them.
            folder_only: Discard the changes made through the API.
            allow_deletions: Also delete most documents, or all of one source.

        Raises:
            DatasetError: the folder is missing, contains no document with text, cannot be read in
                part, or lacks too many of the documents in the index.
            DiskFullError: the disk has too little room; run again, the build resumes.
            IndexLockedError: another build is running.
            IndexUnavailableError: the store cannot be read or written.
            ModelError: the embedding model cannot be loaded.
        """
        watch = Stopwatch()
        writer = CollectionWriter(self.store, self.progress, watch, self.load_embeddings)
        with BuildLock(self.store) as lock, closing(ChunkSpool()) as spool:
            # Load: the documents that the index must contain, and those that the live one contains.
            with watch("read"):
                desired = read_desired_state(
                    self.store, folder, selection, self.skipped, folder_only=folder_only
                )
                live = read_live_index(self.store)
            contents = desired.contents
            target = self._target(contents, folder)

            # Split the documents that no existing collection contains.
            with watch("copy"):
                sources = collections_to_copy(
                    self.store, self.recipe, contents, target.collection_name, live
                )
            before = live.documents
            is_same_recipe = bool(live.recipe and live.recipe.digest() == self.recipe.digest())
            with watch("split"):
                after = self._split(desired, sources, spool)
            # What cannot be converted any more stays as it is in the live index.
            if kept := self._kept(desired, after, before, is_same_recipe=is_same_recipe):
                sources[live.name] = {**sources.get(live.name, {}), **kept}
                after |= kept
                target = self._target(contents | {name: kept[name][0] for name in kept}, folder)

            # Stop before an unexpected loss, or if nothing changed.
            if not after:
                raise DatasetError(f"No document in {folder} contains any text.")
            if not allow_deletions:
                check_deletions(before, after)
            if folder_only:
                self.store.return_to_folder()
            if after == before and is_same_recipe and not live.is_damaged:
                writer.write_words(live.name, [])
                write_missing_digests(self.store)
                return _report(before, before, desired, 0, watch, CollectionCheck(0, 0.0))

            # Embed and store, in a new collection, if the disk has room for it.
            check_space(self.store.database, BYTES_PER_CHARACTER * spool.characters)
            target = replace(target, chunks=sum(chunks for _, chunks in after.values()))
            collection, embedded = self._write(writer, target, sources, spool)

            # Check the new collection, then go live.
            with watch("check"):
                check = check_new_collection(self.store, collection.name, target.chunks)
                go_live(self.store, lock, collection, target)
            return _report(before, after, desired, embedded, watch, check)

    def rewrite(self, lock: BuildLock) -> None:
        """Copy the live collection to a new one and delete all others.

        Afterwards no collection contains rows that were deleted before.

        Args:
            lock: Held by the caller.

        Raises:
            IndexDamagedError: the live collection is incomplete; it stays live.
            IndexUnavailableError: the store cannot be read or written.
        """
        writer = CollectionWriter(self.store, self.progress, Stopwatch(), self.load_embeddings)
        live, source, fingerprint = self.store.live_collection()
        found = read_intact_documents(self.store, source, fingerprint, live.revision)
        documents = found.documents
        if found.is_damaged or sum(n for _, n in documents.values()) != fingerprint.chunks:
            how = "lacks some of its chunks, or they are damaged, so it is not rewritten"
            raise damaged_index_error(self.store.database, how)
        target = replace(fingerprint, changed_at="", digests="")
        # A new name: a collection of a build's name may have contained documents deleted since.
        collection = self._find_or_create(target, f"{target.collection_name}-r{live.revision}")
        writer.copy(collection, {live.name: documents}, target.chunks)
        writer.write_words(collection.name, [live.name])
        check_new_collection(self.store, collection.name, target.chunks)
        go_live(self.store, lock, collection, target, keep_previous=False)

    def _target(self, contents: Mapping[str, str], folder: Path) -> Fingerprint:
        """The fingerprint of the new index; its chunks are not counted yet."""
        return Fingerprint(
            recipe=self.recipe,
            corpus_hash=corpus_hash(contents),
            documents=len(contents),
            chunks=0,
            built_at="",
            sources=sources_of(contents, folder),
        )

    def _split(
        self, desired: DesiredState, sources: dict[str, StoredDocuments], spool: ChunkSpool
    ) -> dict[str, tuple[str, int]]:
        """Split the documents that no source contains; returns the documents of the new index."""
        size = ChunkSize(self.recipe.chunk_size, self.recipe.chunk_overlap)
        after = {name: stored for source in sources.values() for name, stored in source.items()}
        for document in desired.documents(desired.contents.keys() - after.keys()):
            chunks = split_document(document, size, self.count_tokens)
            if chunks:
                after[document.name] = (document.content_hash, len(chunks))
                spool.extend(chunks)
        return after

    def _kept(
        self,
        desired: DesiredState,
        after: StoredDocuments,
        before: StoredDocuments,
        *,
        is_same_recipe: bool,
    ) -> StoredDocuments:
        """The documents to keep because their files cannot be converted; each file is reported."""
        kept, deleted = (
            ". The index keeps its previous version",
            ". Its previous version is deleted",
        )
        gone = {one.name for one in desired.unconvertible if one.name in before.keys() - after}
        for one in desired.unconvertible:
            self.skipped(f"{one}{(kept if is_same_recipe else deleted) * (one.name in gone)}")
        return {name: before[name] for name in gone} if is_same_recipe else {}

    def _write(
        self,
        writer: CollectionWriter,
        target: Fingerprint,
        sources: dict[str, StoredDocuments],
        spool: ChunkSpool,
    ) -> "tuple[Collection, int]":
        """Write a new collection; returns it, and how many of its chunks were embedded."""
        collection = self._new_collection(target)
        # Copied vectors first, then those of new chunks.
        with writer.watch("copy"):
            copied = writer.copy(collection, sources, target.chunks)
        embedded = writer.embed(collection, spool, self.window, copied, target.chunks)
        writer.write_words(collection.name, sources)
        return collection, embedded

    def _new_collection(self, target: Fingerprint) -> "Collection":
        """The collection to write to: the one that an interrupted build left, or an empty one."""
        name = target.collection_name
        live = self.store.live()
        found = self.store.find(name)
        made = Fingerprint.from_metadata(found.metadata or {}) if found else None
        if live and (name == live.name or (made and made.changed_at)):
            # It was changed in place, so its name no longer matches its content.
            name = f"{name}-r{live.revision}"
        return self._find_or_create(target, name)

    def _find_or_create(self, target: Fingerprint, name: str) -> "Collection":
        return self.store.find(name) or self.store.create(name, target.to_metadata(), target.chunks)


def _report(
    before: StoredDocuments,
    after: StoredDocuments,
    desired: DesiredState,
    embedded: int,
    watch: Stopwatch,
    check: CollectionCheck,
) -> BuildReport:
    documents = desired.contents.keys() - {one.name for one in desired.unconvertible} | after.keys()
    return BuildReport(
        changes=SyncChanges.between(before, after, len(documents)),
        chunks=sum(chunks for _, chunks in after.values()),
        embedded=embedded,
        seconds=watch.total,
        seconds_by_stage=watch.stages,
        seconds_to_open=check.seconds_to_open,
        from_api=len(desired.uploaded),
        left_out=desired.left_out,
        skipped=tuple(desired.skipped),
    )


def make_builder(
    model: EmbeddingModel,
    store: Store,
    *,
    cache: Path,
    chunk_size: int | None = None,
    chunk_overlap: int = 0,
    device: Device = "auto",
    backend: Backend = "auto",
    progress: Progress = ignore_progress,
    skipped: Callable[[str], None],
) -> Builder:
    """Create a builder whose chunks fit the model's input.

    Args:
        model: The embedding model; loaded when there is something to embed.
        store: The store to build in.
        cache: Folder for the model converted to OpenVINO.
        chunk_size: Maximum chunk length in tokens; by default the model's input length.
        chunk_overlap: Tokens that a chunk repeats of the previous one where a section is cut.
        device: The device to embed on.
        backend: The runtime to embed with.
        progress: Called with the number of chunks so far and the total; see CollectionWriter.
        skipped: Called with a line for each document or option that cannot be used as given.

    Raises:
        ModelError: the model's files cannot be read, or its API does not answer.
    """
    readable = model.max_chunk_tokens
    if chunk_size is not None and chunk_size > readable:
        skipped(
            f"Chunk size {chunk_size} exceeds the model's input length: chunks of {readable} "
            "tokens are used, so that no text is cut off."
        )
    size = min(chunk_size or readable, readable)
    return Builder(
        store=store,
        recipe=Recipe(
            embedding_model=model.name,
            model_revision=model.revision,
            dimension=model.dimension,
            pooling=model.pooling,
            max_tokens=model.max_tokens,
            chunker_version=CHUNKER_VERSION,
            chunk_size=size,
            chunk_overlap=chunk_overlap,
        ),
        count_tokens=model.count_tokens,
        load_embeddings=lambda: model.load_embeddings(device=device, backend=backend, cache=cache),
        progress=progress,
        skipped=skipped,
        window=model.window(size, WINDOW),
    )
