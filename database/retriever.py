"""The live index as a reader holds it: a question in, passages out.

A reader keeps the live collection by its id, notices within two seconds that the pointer moved,
and goes on answering from what it holds while the next collection is being opened.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from database.check import check_collection
from database.connection import index_missing, translated
from database.embeddings import load_embeddings
from database.fingerprint import Fingerprint
from database.models import find_model
from database.passages import Passage
from database.rows import to_chunk
from database.store import Live, Store, connect
from utils.errors import DocsQAError, IndexMismatchError, StoreUnreachableError
from utils.settings import Settings, load_settings

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the index, with the embeddings that fit it."""

    live: Live
    collection: "Collection"
    fingerprint: Fingerprint
    embeddings: Embeddings


def retriever_from(settings: Settings) -> "Retriever":
    """Make the retriever that the settings describe; it opens the index when first asked."""
    return Retriever(
        open_store=lambda: connect(
            settings.database,
            token=_token_of(settings),
            # The gateway was given another: its file, or the environment's .env, has it.
            renew_token=lambda: _token_of(load_settings()),
            timeout=settings.chroma_timeout,
        ),
        load=lambda fingerprint: embeddings_for(fingerprint, settings),
        place=settings.database,
    )


def _token_of(settings: Settings) -> str | None:
    return settings.chroma_token.get_secret_value() if settings.chroma_token else None


class Retriever:
    """Finds the passages nearest to a question; any number of threads may ask at once."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        load: Callable[[Fingerprint], Embeddings],
        place: str,
    ) -> None:
        """Make a retriever that holds nothing yet; `refresh` opens the index.

        Args:
            open_store: Connects to the store; called again after it failed.
            load: Loads the embeddings that fit an index, or raises IndexMismatchError.
            place: Where the index lies, for messages.
        """
        self._open_store = open_store
        self._load = load
        self._place = place
        self._store: Store | None = None
        self._snapshot: Snapshot | None = None
        self._problem: DocsQAError | None = None
        self._refreshing = threading.Lock()

    def refresh(self) -> Snapshot:
        """Follow the pointer. What was held goes on answering until the new one has answered.

        Raises:
            IndexUnavailableError: there is no index to read; the message says what to do.
            ModelError, SettingsError: the model it was built with cannot be had.
        """
        with self._refreshing:
            try:
                self._snapshot = self._follow(self._snapshot)
            except DocsQAError as error:
                self._problem = error
                if self._snapshot is None:
                    self._close_store()
                raise
            self._problem = None
            return self._snapshot

    def _close_store(self) -> None:
        """Forget a store that did not work: only opening it anew shows what was repaired."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _follow(self, held: Snapshot | None) -> Snapshot:
        if self._store is None:
            self._store = self._open_store()
        live = self._store.live()
        if held and live and held.live.revision == live.revision and held.live.name == live.name:
            return held
        live, collection, fingerprint = self._store.live_collection()
        if held is None:
            check_collection(self._store, live.name)
        if held and held.fingerprint.recipe == fingerprint.recipe:
            embeddings = held.embeddings
        else:
            embeddings = self._load(fingerprint)
        snapshot = Snapshot(live, collection, fingerprint, embeddings)
        started = time.perf_counter()
        self._search(snapshot, "warm up", 1)
        log.info(
            "Index %s is live: revision %d, %d chunks, opened in %.2f s",
            live.name,
            live.revision,
            fingerprint.chunks,
            time.perf_counter() - started,
        )
        return snapshot

    def retrieve(self, question: str, top_k: int) -> list[Passage]:
        """Find the `top_k` nearest passages, best first.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        from chromadb.errors import NotFoundError

        if isinstance(self._problem, StoreUnreachableError):
            raise self._problem  # `refresh` finds out when it is back; no request waits for that
        try:
            return self._search(self._snapshot or self._first(), question, top_k)
        except NotFoundError:  # the collection we held was deleted: the pointer has moved on
            try:
                return self._search(self.refresh(), question, top_k)
            except NotFoundError as error:
                raise index_missing(self._place) from error

    def _first(self) -> Snapshot:
        """The first snapshot; at once the reason where it is known that there is none."""
        if self._problem is not None:
            raise self._problem
        return self.refresh()

    def _search(self, snapshot: Snapshot, question: str, top_k: int) -> list[Passage]:
        with translated(self._place):
            return _search(snapshot, question, top_k)

    def close(self) -> None:
        """Let go of the store."""
        with self._refreshing:
            self._snapshot = None
            self._close_store()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is held at present."""
        return self._snapshot

    @property
    def problem(self) -> DocsQAError | None:
        """Why the last look at the index failed; None where it went well."""
        return self._problem


def _search(snapshot: Snapshot, question: str, top_k: int) -> list[Passage]:
    vectors: Any = [snapshot.embeddings.embed_query(question)]
    found: Any = snapshot.collection.query(
        query_embeddings=vectors,
        n_results=min(top_k, snapshot.fingerprint.chunks),
        include=["documents", "metadatas", "distances"],
    )
    columns = zip(
        found["ids"][0],
        found["documents"][0],
        found["metadatas"][0],
        found["distances"][0],
        strict=True,
    )
    # Chroma returns cosine distances; a score is a similarity.
    return [
        Passage(to_chunk(id_, text, fields), score=1.0 - distance, dense_rank=rank)
        for rank, (id_, text, fields, distance) in enumerate(columns, start=1)
    ]


def embeddings_for(fingerprint: Fingerprint, settings: Settings) -> Embeddings:
    """Load the model an index was built with, after holding it against the settings.

    Raises:
        IndexMismatchError: the settings name another model, or its files are others.
        ModelError: the model cannot be had.
    """
    recipe = fingerprint.recipe
    wanted = settings.embedding_model_name or recipe.embedding_model
    repair = (
        "Build the index again with this model (python ./utils/db_builder.py -d ... -db ... "
        f"-m {wanted})"  # no place named: /readyz shows this
    )
    model = find_model(wanted, settings.embedding_model_path)
    found = {
        "model_revision": model.revision,
        "dimension": model.dimension,
        "pooling": model.pooling,
    }
    for field, ours in found.items():
        theirs = getattr(recipe, field)
        if ours != theirs:
            raise IndexMismatchError(
                f"The index was built with {recipe.embedding_model} and this service is set to "
                f"{wanted}: {field} is {_short(theirs)} there and {_short(ours)} here. {repair}, "
                f"or set EMBEDDING_MODEL_NAME={recipe.embedding_model}."
            )
    return load_embeddings(
        model,
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )


def _short(value: object) -> str:
    return str(value)[:12]
