"""Writes a collection: copied rows, newly embedded rows and the vectors of its words."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from database.building.chunk_spool import ChunkSpool
from database.building.report import Stopwatch
from database.index import rows
from database.index.rows import Row, StoredDocuments
from database.index.store import Store
from database.index.word_vectors import has_word_vectors, write_word_vectors
from database.searching.synonyms import corpus_words
from dataset.progress import Progress
from utils.errors import StoreUnreachableError

if TYPE_CHECKING:
    from chromadb import Collection

T = TypeVar("T")

_MAX_OUTAGE_SECONDS = 60
"""How long a build retries a request to an unreachable server."""


@dataclass(frozen=True)
class CollectionWriter:
    """Writes into a collection; retries during a short outage of the server."""

    store: Store
    progress: Progress
    """Called with the number of chunks so far, the last of which are still being stored, and the
    total."""
    watch: Stopwatch
    load_embeddings: Callable[[], Embeddings]
    """Called once, if there is something to embed."""

    @cached_property
    def _embeddings(self) -> Embeddings:
        with self.watch("load model"):
            return self.load_embeddings()

    def copy(
        self, collection: "Collection", sources: Mapping[str, StoredDocuments], total: int
    ) -> int:
        """Copy the rows of these documents from other collections; returns the chunks in place."""
        done = 0
        for name, documents in sources.items():
            # What an interrupted build left in the collection itself is in place already.
            source = self.store.find(name)
            if source is None or name == collection.name:
                done += sum(chunks for _, chunks in documents.values())
                continue
            offset = 0
            while page := self._retrying(partial(rows.read_raw_page, source, offset)):
                offset += len(page)
                intact = rows.intact(page)
                copied = [_as_built(row) for row in intact if _belongs_to(row, documents)]
                # Chroma counts an existing row towards sync_threshold too: it would sync early.
                missing = self._missing(collection, [row.chunk.id for row in copied])
                self._add(collection, [row for row in copied if row.chunk.id in missing])
                done += len(copied)
                self.progress(done, total)
        return done

    def embed(
        self, collection: "Collection", spool: ChunkSpool, window: int, done: int, total: int
    ) -> int:
        """Embed and store the spooled chunks that are missing; returns how many were embedded.

        One window is stored while the next is embedded: a kill loses at most these two.
        """
        embedded = 0
        with ThreadPoolExecutor(max_workers=1) as executor:
            storing: Future[None] | None = None
            for chunks in spool.windows(window):
                # Skip the chunks that an interrupted build has stored.
                missing = self._missing(collection, [chunk.id for chunk in chunks])
                new = [chunk for chunk in chunks if chunk.id in missing]
                if new:
                    model = self._embeddings  # loaded outside the measured time
                    with self.watch("embed"):
                        vectors = model.embed_documents([chunk.text_to_embed for chunk in new])
                    self._wait(storing)
                    storing = executor.submit(self._add, collection, [*map(Row, new, vectors)])
                    embedded += len(new)
                done += len(chunks)
                self.progress(done, total)
            self._wait(storing)
        return embedded

    def _wait(self, storing: "Future[None] | None") -> None:
        """Wait until a window is stored; the time of storing counts only as far as it delays."""
        if storing:
            with self.watch("store"):
                storing.result()

    def write_words(self, index: str, known: Iterable[str]) -> None:
        """Write the vectors of an index's words, unless they exist.

        The vectors of `known` indexes, which have the same model, are copied.
        """

        def embed(texts: list[str]) -> list[list[float]]:
            return self._embeddings.embed_documents(texts)

        def write() -> None:
            collection = self.store.find(index)
            if collection is None or has_word_vectors(self.store, index):
                return
            words = corpus_words(chunk.text_to_embed for chunk in rows.read_chunks(collection))
            write_word_vectors(self.store, index, words, embed, known)

        with self.watch("words"):
            self._retrying(write)

    def _missing(self, collection: "Collection", ids: list[str]) -> set[str]:
        return self._retrying(partial(rows.missing, collection, ids))

    def _add(self, collection: "Collection", new: list[Row]) -> None:
        self._retrying(partial(rows.add, collection, new))

    def _retrying(self, action: Callable[[], T]) -> T:
        def translated() -> T:
            with self.store.translate_errors():
                return action()

        return Retrying(
            retry=retry_if_exception_type(StoreUnreachableError),
            wait=wait_exponential(multiplier=0.2, max=2),
            stop=stop_after_delay(_MAX_OUTAGE_SECONDS),
            reraise=True,
        )(translated)


def _as_built(row: Row) -> Row:
    """A row that was added in place, as a build stores it."""
    return replace(row, chunk=replace(row.chunk, revision=0)) if row.chunk.revision else row


def _belongs_to(row: Row, documents: StoredDocuments) -> bool:
    stored = documents.get(row.chunk.document)
    return stored is not None and stored[0] == row.chunk.document_hash
