"""The live index as a reader holds it: a question in, passages out.

A reader keeps the live collection by its id, notices within two seconds that the pointer moved,
and goes on answering from what it holds while the next collection is being opened.
"""

import logging
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import PrivateAttr

from database.embedding.api.models import is_api_model
from database.embedding.loading import load_embeddings, model_for
from database.index.check import check_collection
from database.index.connection import missing_index_error, translate_chroma_errors
from database.index.fingerprint import Fingerprint
from database.index.live_pointer import LivePointer
from database.index.store import Store, connect
from database.journal.uploads import Uploads
from database.reading.corpus import OvertakenError, follow_changes, read_corpus
from database.searching.filters import EVERYTHING, Filters
from database.searching.fusion import Ranking
from database.searching.passage import Findings
from database.searching.search import SearchCorpus, search
from dataset.chunks import Chunk
from utils.errors import DocsQAError, IndexDamagedError, IndexMismatchError, StoreUnreachableError
from utils.settings import Settings

log = logging.getLogger(__name__)

_MAX_CATCH_UPS = 10
"""How often a reader that is overtaken by changes starts anew before it comes back later."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """One state of the index, with all that a search of it needs."""

    live: LivePointer
    fingerprint: Fingerprint
    corpus: SearchCorpus
    uploaded: frozenset[str]
    """The documents that came through the API."""

    def document(self, name: str) -> list[Chunk]:
        """The chunks of one document, in order; none where it holds no such document."""
        chunks = self.corpus.chunks
        first = bisect_left(chunks, name, key=lambda chunk: chunk.document)
        last = bisect_right(chunks, name, lo=first, key=lambda chunk: chunk.document)
        return list(chunks[first:last])


def reader_from(settings: Settings, ranking: Ranking | None = None) -> "Reader":
    """Make the reader that the settings describe; it opens the index when first asked."""
    return Reader(
        open_store=lambda: connect(settings),
        load=lambda fingerprint: embeddings_for(fingerprint, settings),
        place=settings.database,
        ranking=ranking or Ranking(),
        top_k=settings.top_k,
        min_confidence=settings.min_confidence,
    )


class Reader(BaseRetriever):
    """Finds the passages that answer a question; any number of threads may ask at once.

    It is a LangChain reader too: `invoke(question)` gives the passages as documents.
    """

    top_k: int = 8
    """How many passages `invoke` gives."""
    min_confidence: float | None = None
    """From which confidence on a question is answerable; None for what the calibration chose."""
    _open_store: Callable[[], Store] = PrivateAttr()
    _load: Callable[[Fingerprint], Embeddings] = PrivateAttr()
    _place: str = PrivateAttr()
    _ranking: Ranking = PrivateAttr()
    _store: Store | None = PrivateAttr(default=None)
    _snapshot: IndexState | None = PrivateAttr(default=None)
    _problem: DocsQAError | None = PrivateAttr(default=None)
    _refreshing: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def __init__(
        self,
        open_store: Callable[[], Store],
        load: Callable[[Fingerprint], Embeddings],
        place: str,
        ranking: Ranking | None = None,
        top_k: int = 8,
        min_confidence: float | None = None,
    ) -> None:
        """Make a reader that holds nothing yet; `refresh` opens the index.

        Args:
            open_store: Connects to the store; called again after it failed.
            load: Loads the embeddings that fit an index, or raises IndexMismatchError.
            place: Where the index lies, for messages.
            ranking: How evidence is weighed.
            top_k: How many passages `invoke` gives.
            min_confidence: From which confidence on a question is answerable.
        """
        super().__init__(top_k=top_k, min_confidence=min_confidence)
        self._open_store = open_store
        self._load = load
        self._place = place
        self._ranking = ranking or Ranking()

    def refresh(self) -> IndexState:
        """Follow the pointer. What was held goes on answering until the new one has answered.

        Raises:
            IndexUnavailableError: there is no index to read; the message says what to do.
            ModelError, SettingsError: the model it was built with cannot be had.
        """
        from chromadb.errors import NotFoundError

        with self._refreshing:
            try:
                try:
                    self._snapshot = self._follow(self._snapshot)
                except (NotFoundError, IndexDamagedError):  # changed while it was read
                    self._snapshot = self._follow(self._snapshot)
            except DocsQAError as error:
                self._problem = error
                if self._snapshot is None:
                    self._close_store()
                raise
            self._problem = None
            return self._snapshot

    @property
    def store(self) -> Store:
        """The store; connected to where it is not yet, while `_refreshing` is held."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def opened_store(self) -> Store:
        """The store that is read, for those that read or write beside the reader.

        An embedded one must be opened once in a process: a second client would see it as it was.

        Raises:
            IndexUnavailableError: it cannot be opened.
        """
        if self._store is not None:
            return self._store  # another model may be loading now, which takes long
        with self._refreshing:
            return self.store

    def _close_store(self) -> None:
        """Forget a store that did not work: only opening it anew shows what was repaired."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _follow(self, held: IndexState | None) -> IndexState:
        live = self.store.live()
        if held and live and live.is_same_build(held.live):
            return held if held.live.revision == live.revision else self._caught_up(held)
        return self._opened(held)

    def _opened(self, held: IndexState | None) -> IndexState:
        """Open the live collection, and read what a search needs of it."""
        live, collection, fingerprint = self.store.live_collection()
        if held is None:
            check_collection(self.store, live.name)
        if held and held.fingerprint.recipe.can_share_model(fingerprint.recipe):
            embeddings = held.corpus.embeddings
        else:
            embeddings = self._load(fingerprint)
        started = time.perf_counter()
        corpus = read_corpus(self.store, live, collection, embeddings)
        uploaded = frozenset(Uploads(self.store).document_names(live))
        snapshot = IndexState(live, fingerprint, corpus, uploaded)
        self._search(snapshot, "warm up", 1)
        log.info(
            "Index %s is live: revision %d, %d chunks, opened in %.2f s",
            live.name,
            live.revision,
            len(corpus.chunks),
            time.perf_counter() - started,
        )
        return self._caught_up(snapshot)

    def _caught_up(self, held: IndexState) -> IndexState:
        """The snapshot with what was changed in place since it was read."""
        for _ in range(_MAX_CATCH_UPS):
            live, _, fingerprint = self.store.live_collection()
            if not live.is_same_build(held.live) or live.revision == held.live.revision:
                return held
            try:
                shown = Uploads(self.store).visible(live, held.live.revision)
                corpus = follow_changes(self.store, held.corpus, shown)
            except OvertakenError:
                continue
            put = {name for name, entry in shown.items() if not entry.is_deletion}
            held = IndexState(live, fingerprint, corpus, held.uploaded - shown.keys() | put)
        return held  # somebody writes without pause; the next look goes on from here

    def search(self, question: str, top_k: int, filters: Filters = EVERYTHING) -> Findings:
        """Find the `top_k` passages that answer best, and how probable it is that they do.

        Args:
            question: What is asked.
            top_k: How many passages are wanted.
            filters: Which documents are meant.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        from chromadb.errors import NotFoundError

        if isinstance(self._problem, StoreUnreachableError):
            raise self._problem  # `refresh` finds out when it is back; no request waits for that
        try:
            return self._search(self.current(), question, top_k, filters)
        except (NotFoundError, IndexDamagedError) as error:
            # The collection was deleted and the pointer has moved on, or rows went while they were
            # looked up: all that Chroma says then is that something failed inside.
            log.info("Searching once more (%s)", error.__cause__ or error)
            try:
                return self._search(self.refresh(), question, top_k, filters)
            except NotFoundError as error:
                raise missing_index_error(self._place) from error

    def _first(self) -> IndexState:
        """The first snapshot; at once the reason where it is known that there is none."""
        if self._problem is not None:
            raise self._problem
        return self.refresh()

    def current(self) -> IndexState:
        """What is held; opened where nothing is yet.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        return self._snapshot or self._first()

    def _search(
        self, snapshot: IndexState, question: str, top_k: int, filters: Filters = EVERYTHING
    ) -> Findings:
        with translate_chroma_errors(self._place):
            return search(
                snapshot.corpus, question, top_k, self._ranking, self.min_confidence, filters
            )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        """What LangChain asks of a reader."""
        return [
            Document(
                id=passage.chunk.id,
                page_content=passage.text,
                metadata={
                    "document": passage.chunk.document,
                    "title": passage.chunk.title,
                    "headings": list(passage.chunk.headings),
                    "url": passage.chunk.url,
                    "score": passage.score,
                },
            )
            for passage in self.search(query, self.top_k).passages
        ]

    def documents(self) -> set[str]:
        """The names of the documents that the index holds.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        return set(self.current().corpus.lexical.documents)

    def document(self, name: str) -> list[Chunk]:
        """The chunks of one document, in order; none where the index does not hold it.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        return self.current().document(name)

    def close(self) -> None:
        """Let go of the store."""
        with self._refreshing:
            self._snapshot = None
            self._close_store()

    @property
    def snapshot(self) -> IndexState | None:
        """What is held at present."""
        return self._snapshot

    @property
    def problem(self) -> DocsQAError | None:
        """Why the last look at the index failed; None where it went well."""
        return self._problem


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
    also = " and EMBEDDING_BASE_URL as they were" if is_api_model(recipe.embedding_model) else ""
    model = model_for(wanted, settings)
    if differs := recipe.first_difference(model):
        field, theirs, ours = differs
        raise IndexMismatchError(
            f"The index was built with {recipe.embedding_model} and this service is set to "
            f"{wanted}: {field} is {_short(theirs)} there and {_short(ours)} here. {repair}, "
            f"or set EMBEDDING_MODEL_NAME={recipe.embedding_model}{also}."
        )
    return load_embeddings(
        model,
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )


def _short(text: str) -> str:
    """A hash by its beginning; an API's revision is words, and whole."""
    return text if " " in text else text[:12]
