"""Fills a collection: with what others hold already, with what is embedded now, with its words."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from database.building.chunk_spool import ChunkSpool
from database.building.report import Stopwatch
from database.index import rows, word_vectors
from database.index.rows import Row, StoredDocuments
from database.index.store import Store
from database.searching.synonyms import corpus_words
from dataset.progress import Progress
from utils.errors import StoreUnreachableError

if TYPE_CHECKING:
    from chromadb import Collection

T = TypeVar("T")

OUTAGE_SECONDS = 60
"""How long a build waits for a server that went away."""


@dataclass(frozen=True)
class CollectionWriter:
    """Writes into a collection, and waits for a server that is away for a while."""

    store: Store
    progress: Progress
    watch: Stopwatch

    def copy(
        self, collection: "Collection", sources: Mapping[str, StoredDocuments], total: int
    ) -> int:
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
                self._add(collection, [row for row in kept if row.chunk.id in missing])
                done += len(kept)
                self.progress(done, total)
        return done

    def embed(
        self,
        collection: "Collection",
        spool: ChunkSpool,
        done: int,
        embeddings: Callable[[], Embeddings],
        window: int,
    ) -> int:
        """Embed and store what no collection held; returns how many chunks that were."""
        embedded = 0
        total = done + len(spool)
        for chunks in spool.windows(window):
            ids = [chunk.id for chunk in chunks]
            missing = self._persistently(partial(rows.missing, collection, ids))
            todo = [chunk for chunk in chunks if chunk.id in missing]
            if todo:
                model = embeddings()
                with self.watch("embed"):
                    vectors = model.embed_documents([chunk.text_to_embed for chunk in todo])
                with self.watch("store"):
                    self._add(collection, [*map(Row, todo, vectors)])
                embedded += len(todo)
            done += len(chunks)
            self.progress(done, total)
        return embedded

    def write_words(
        self,
        index: str,
        known: Iterable[str],
        embeddings: Callable[[], Embeddings],
    ) -> None:
        """Have the vectors of the index's words beside it, unless they are there."""

        def write() -> None:
            collection = self.store.find(index)
            if collection is None or word_vectors.has_word_vectors(self.store, index):
                return
            words = corpus_words(chunk.text_to_embed for chunk in rows.read_chunks(collection))
            word_vectors.write_word_vectors(
                self.store, index, words, lambda texts: embeddings().embed_documents(texts), known
            )

        with self.watch("words"):
            self._persistently(write)

    def _add(self, collection: "Collection", new: list[Row]) -> None:
        self._persistently(partial(rows.add, collection, new))

    def _persistently(self, action: Callable[[], T]) -> T:
        """Do it, and again for a while where the server is away."""

        def translated() -> T:
            with self.store.translate_errors():
                return action()

        return Retrying(
            retry=retry_if_exception_type(StoreUnreachableError),
            wait=wait_exponential(multiplier=0.2, max=2),
            stop=stop_after_delay(OUTAGE_SECONDS),
            reraise=True,
        )(translated)


def _as_built(row: Row) -> Row:
    """A row that was added in place, as a build stores it."""
    return replace(row, chunk=replace(row.chunk, revision=0)) if row.chunk.revision else row


def _belongs(row: Row, documents: StoredDocuments) -> bool:
    held = documents.get(row.chunk.document)
    return held is not None and held[0] == row.chunk.document_hash
