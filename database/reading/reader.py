"""The reader: follows the live index and answers searches from it.

A reader uses the live collection by its id, detects within two seconds that the pointer moved, and
keeps answering from the state it has while the next one is being opened.
"""

import copy
import logging
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.embeddings import Embeddings

from database.embedding.query_embeddings import EmbeddingCache, embed_question
from database.index.checks.collection_check import check_collection, verify_recall
from database.index.connection import missing_index_error, translate_chroma_errors
from database.index.fingerprint import Fingerprint
from database.index.live_pointer import LivePointer
from database.index.rows import unit_vectors
from database.index.store import Store, connect
from database.journal.uploads import Uploads
from database.reading.index_embeddings import embeddings_for
from database.reading.read_corpus import OvertakenError, follow_changes, read_corpus
from database.reading.scrub import find_damage
from database.searching.filters import EVERYTHING, Filters
from database.searching.fusion import Ranking
from database.searching.passage import Findings
from database.searching.search import SearchCorpus, search
from dataset.chunks import Chunk
from utils.errors import DocsQAError, IndexDamagedError, StoreUnreachableError
from utils.settings import Settings, build_command

log = logging.getLogger(__name__)

_MAX_CACHED = 8192
"""Texts of `cosines` whose vectors are cached, in 12 MB with all-MiniLM-L6-v2."""
_RETRY_SECONDS = 30.0
"""Interval at which a damaged index is read again; a new one is read at once."""
_MAX_CATCH_UPS = 10
"""Attempts to read changes while newer ones keep arriving; the next refresh continues."""


@dataclass(frozen=True, slots=True)
class IndexState:
    """One state of the index, with everything a search of it needs."""

    live: LivePointer
    fingerprint: Fingerprint
    corpus: SearchCorpus
    uploaded: frozenset[str]
    """Documents added through the API."""

    def document(self, name: str) -> list[Chunk]:
        """The chunks of one document, in order; [] if the index has no such document."""
        chunks = self.corpus.chunks
        first = bisect_left(chunks, name, key=lambda chunk: chunk.document)
        last = bisect_right(chunks, name, lo=first, key=lambda chunk: chunk.document)
        return list(chunks[first:last])


def reader_from(settings: Settings, ranking: Ranking | None = None) -> "Reader":
    """Create the reader that the settings describe; the index is opened on first use."""
    return Reader(
        open_store=lambda: connect(settings),
        load=lambda fingerprint: embeddings_for(fingerprint, settings),
        place=settings.database,
        ranking=ranking,
        min_confidence=settings.min_confidence,
    )


class Reader:
    """Finds the passages that answer a question; safe to use from any number of threads."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        load: Callable[[Fingerprint], Embeddings],
        place: str,
        ranking: Ranking | None = None,
        min_confidence: float | None = None,
    ) -> None:
        """Create a reader; `refresh` or the first search opens the index.

        Args:
            open_store: Connects to the store; called again after a failure.
            load: Loads the embeddings that fit an index, or raises IndexMismatchError.
            place: Location of the index, for messages.
            ranking: Weights of the ranking.
            min_confidence: See `search`.
        """
        self._open_store = open_store
        self._load = load
        self._place = place
        self._ranking = ranking or Ranking()
        self._min_confidence = min_confidence
        self._store: Store | None = None
        self.state: IndexState | None = None
        """What searches use now; None until the index was opened."""
        self.problem: DocsQAError | None = None
        """Why the last refresh failed, or the damage to what it found; None if it succeeded."""
        self._damage: tuple[LivePointer, IndexDamagedError] | None = None
        """The damage that the last scrub found, and where."""
        self._tried: LivePointer | None = None
        """The index that was opened last, or could not be."""
        self._refusal: IndexDamagedError | None = None
        """Why it could not be opened, until `_retry_at`."""
        self._retry_at = 0.0
        self._refreshing = threading.Lock()
        self._cache: EmbeddingCache | None = None

    def refresh(self) -> IndexState:
        """Follow the pointer. Searches use the old state until the new one has answered a query.

        Raises:
            IndexUnavailableError: there is no index to read; the message states what to do.
            ModelError, SettingsError: the embedding model cannot be loaded.
        """
        from chromadb.errors import NotFoundError

        with self._refreshing:
            try:
                try:
                    self.state = self._follow(self.state)
                except (NotFoundError, IndexDamagedError):  # changed while it was read
                    self.state = self._follow(self.state)
            except DocsQAError as error:
                self.problem = error
                if isinstance(error, IndexDamagedError) and time.monotonic() >= self._retry_at:
                    self._refusal = error
                    self._retry_at = time.monotonic() + _RETRY_SECONDS
                if self.state is None:
                    self._close_store()
                raise
            self.problem = self._damage_of(self.state)
            return self.state

    def scrub(self) -> None:
        """Read the live index again as it is stored; if it is damaged, `problem` names that.

        Searches of vectors in memory, which were verified when they were read, go on.

        Raises:
            DocsQAError: it cannot be read at present.
        """
        state = self.state
        if state is None:
            return
        damage = find_damage(self.store())
        is_known = self._damage_of(state) is not None
        self._damage = (state.live, damage) if damage else None
        if damage and not is_known and self.refresh() and self.problem is damage:
            log.error("Not ready: %s", damage)

    def _damage_of(self, state: IndexState) -> IndexDamagedError | None:
        """The damage that the last scrub found, unless another index is live by now."""
        if self._damage and self._damage[0].is_same_build(state.live):
            return self._damage[1]
        return None

    def store(self) -> Store:
        """The open store, for code that reads or writes beside the reader.

        A process must open an embedded store only once: a second client does not see the writes of
        the first.

        Raises:
            IndexUnavailableError: it cannot be opened.
        """
        if self._store is not None:
            return self._store  # do not wait for a refresh, which may be loading a model
        with self._refreshing:
            return self._opened_store()

    def _opened_store(self) -> Store:
        """The store, opened if necessary; the caller has acquired `_refreshing`."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _close_store(self) -> None:
        """Close a store that failed: Chroma shows a repaired index only to a new client."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _follow(self, state: IndexState | None) -> IndexState:
        live = self._opened_store().live()
        if state and live and live.is_same_build(state.live):
            return state if state.live.revision == live.revision else self._caught_up(state)
        if self._refusal and live == self._tried and time.monotonic() < self._retry_at:
            raise copy.copy(self._refusal)
        self._tried = live
        return self._opened(state)

    def _opened(self, before: IndexState | None) -> IndexState:
        """Open the live collection and read what a search needs of it."""
        store = self._opened_store()
        live, collection, fingerprint = store.live_collection()
        # On first use, check that the collection can be read at all.
        if before is None:
            check_collection(store, live.name)
        if not fingerprint.digests:
            log.warning(
                "An older version built the index, without digests, so that damage to it is not "
                "detected. A build adds them: %s",
                build_command(),
            )
        # Keep the loaded model if the new index was built with the same one.
        if before and before.fingerprint.recipe.can_share_model(fingerprint.recipe):
            embeddings = before.corpus.embeddings
        else:
            embeddings = self._load(fingerprint)
        # Read chunks and word vectors into memory.
        started = time.perf_counter()
        corpus = read_corpus(store, live, collection, embeddings, fingerprint.digests)
        if corpus.vectors is None:
            verify_recall(store, collection, fingerprint)
        uploaded = frozenset(Uploads(store).document_names(live))
        state = IndexState(live, fingerprint, corpus, uploaded)
        # Answer one query before any user does: compiles the model and loads Chroma's graph.
        self._search(state, "warm up", 1)
        log.info(
            "Index %s is live: revision %d, %d chunks, opened in %.2f s",
            live.name,
            live.revision,
            len(corpus.chunks),
            time.perf_counter() - started,
        )
        return self._caught_up(state)

    def _caught_up(self, state: IndexState) -> IndexState:
        """The state with the changes made in place since it was read."""
        store = self._opened_store()
        for _ in range(_MAX_CATCH_UPS):
            live, _, fingerprint = store.live_collection()
            if not live.is_same_build(state.live) or live.revision == state.live.revision:
                return state
            try:
                visible = Uploads(store).visible(live, state.live.revision)
                corpus = follow_changes(store, state.corpus, visible)
            except OvertakenError:
                continue
            put = {name for name, entry in visible.items() if not entry.is_deletion}
            state = IndexState(live, fingerprint, corpus, state.uploaded - visible.keys() | put)
        return state

    def search(self, question: str, top_k: int, filters: Filters = EVERYTHING) -> Findings:
        """Find the `top_k` best passages, and the probability that they answer the question.

        An index whose vectors are in memory is searched even while its store is unreachable.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        from chromadb.errors import NotFoundError

        state = self.current()
        if state.corpus.vectors is None:
            # `refresh` detects that an unreachable store is back; no request waits for it.
            self._raise_problem(StoreUnreachableError, IndexDamagedError)
        try:
            return self._search(state, question, top_k, filters)
        except (NotFoundError, IndexDamagedError) as error:
            # The collection was deleted after the pointer moved, or rows were deleted during the
            # query; Chroma reports both as an internal error.
            log.info("Searching once more (%s)", error.__cause__ or error)
            try:
                return self._search(self.refresh(), question, top_k, filters)
            except NotFoundError as error:
                raise missing_index_error(self._place) from error

    def current(self) -> IndexState:
        """The current state; opens the index on first use.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        if self.state is None:
            self._raise_problem(DocsQAError)
            return self.refresh()
        return self.state

    def _raise_problem(self, *kinds: type[DocsQAError]) -> None:
        """Raise a copy of the last refresh's error if it is of these types.

        A copy, because each raise of one exception object adds entries to its traceback.
        """
        problem = self.problem  # another thread may replace it
        if isinstance(problem, kinds):
            raise copy.copy(problem) from problem.__cause__

    def _search(
        self, state: IndexState, question: str, top_k: int, filters: Filters = EVERYTHING
    ) -> Findings:
        with translate_chroma_errors(self._place):
            return search(
                state.corpus, question, top_k, self._ranking, self._min_confidence, filters
            )

    def cosines(self, question: str, texts: Sequence[str]) -> list[float]:
        """The cosines of a question to texts, by the index's embedding model; from -1 to 1.

        Raises:
            DocsQAError: there is no index to read, or the texts cannot be embedded.
        """
        embeddings = self.current().corpus.embeddings
        cache = self._cache
        if cache is None or cache.embeddings is not embeddings:
            cache = self._cache = EmbeddingCache(embeddings, _MAX_CACHED)
        asked = unit_vectors(embed_question(embeddings, question))
        return [float(each @ asked) for each in unit_vectors(cache.embed(texts))]

    def documents(self) -> set[str]:
        """The names of the indexed documents.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        return set(self.current().corpus.lexical.documents)

    def document(self, name: str) -> list[Chunk]:
        """The chunks of one document, in order; [] if the index has no such document.

        Raises:
            IndexUnavailableError: there is no index to read.
        """
        return self.current().document(name)

    def close(self) -> None:
        """Close the store."""
        with self._refreshing:
            self.state = None
            self._close_store()
