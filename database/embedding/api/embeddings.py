"""Embeddings of an API: batching, rate limit, retries of transient failures.

A build retries patiently, because embedded texts have been paid for. A question waits no longer
than a setting, and fails immediately while the API is known to fail (a circuit breaker).
"""

import logging
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.rate_limiters import InMemoryRateLimiter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from database.embedding.api import clients
from database.embedding.api.clients import EmbeddingClient, ProviderError
from utils.errors import EmbeddingApiError, EmbeddingRefusedError
from utils.proxies import proxy_advice

log = logging.getLogger(__name__)

REQUEST_BYTES = 32_768
"""Maximum text of one request. Mistral takes 16,384 tokens, and the documentation's text has 3.9
bytes to a token, its densest chunk 1.8."""
MAX_UNREADABLE = 2
"""Attempts after an unreadable answer, which may be a proxy's page."""
BACKOFF = wait_random_exponential(multiplier=0.5, max=20)
"""Full jitter: a random share of 0.5, 1, 2 ... seconds."""
_MAX_REST = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Request rate and timeouts of an API."""

    seconds: float
    """Of one request, including retries and waiting."""
    attempt_seconds: float
    """Of one attempt."""
    batch_size: int
    """Maximum texts of one request."""
    requests_per_minute: int | None = None
    """None for no limit."""
    rest: float = 5.0
    """Seconds without requests after a transient failure."""
    refused_rest: float = 30.0
    """Seconds without requests after a refused key or model, which an operator must fix."""


class _AttemptError(EmbeddingApiError):
    """One request failed; with the attempts allowed, and the pause before the next."""

    def __init__(
        self, message: str, *, attempts: float = 1, pause: float = 0.0, rest: float = 0.0
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.pause = pause
        self.rest = rest


class _RefusedAttemptError(_AttemptError, EmbeddingRefusedError):
    """One request failed, and a retry would fail too."""


class ApiEmbeddings(Embeddings):
    """Embeddings of a model behind an API; safe to use from any number of threads.

    All vectors have unit length and the same dimension.
    """

    def __init__(self, name: str, client: EmbeddingClient, pace: Pace) -> None:
        """Create it; the client is closed when this object is garbage-collected.

        Args:
            name: The model's name, for messages.
            client: The API's client.
            pace: Request rate and timeouts.
        """
        self._name = name
        self._client = client
        self._pace = pace
        self._limit = _limiter(pace.requests_per_minute)
        self._dimension: int | None = None
        self._paused_until = 0.0
        self._pause_reason = ""
        weakref.finalize(self, client.close)

    @property
    def dimension(self) -> int:
        """Length of the vectors; embeds a word the first time."""
        return self._dimension or len(self.embed_query("dimension"))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts in as few requests as possible.

        Raises:
            EmbeddingApiError: the API refuses, fails or does not answer; states what to do.
        """
        batches = in_batches(texts, self._pace.batch_size)
        return [vector for batch in batches for vector in self._embed(batch)]

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return self.embed_documents([text])[0]

    def embed_words(self, words: list[str]) -> list[list[float]]:
        """Embed the words of a question in one request; see `query_embeddings.embed_words`."""
        return self.embed_documents(words)

    def _embed(self, batch: list[str]) -> list[list[float]]:
        if time.monotonic() < self._paused_until:
            raise EmbeddingApiError(self._pause_reason)
        attempts = Retrying(
            stop=self._is_last,
            retry=retry_if_exception_type(_AttemptError),
            wait=lambda state: _failure(state).pause + BACKOFF(state),
            before_sleep=lambda state: log.info(
                "%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep
            ),
            reraise=True,
        )
        try:
            return attempts(partial(self._attempt, batch))
        except _AttemptError as error:
            if error.rest:
                self._pause_reason = str(error)
                self._paused_until = time.monotonic() + min(error.rest, _MAX_REST)
            raise

    def _is_last(self, state: RetryCallState) -> bool:
        """True if no attempt is left, or if the next could exceed the timeout."""
        spent = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        too_late = spent + self._pace.attempt_seconds > self._pace.seconds
        return too_late or state.attempt_number >= _failure(state).attempts

    def _attempt(self, batch: list[str]) -> list[list[float]]:
        if self._limit:
            self._limit.acquire()
        try:
            return self._checked(self._client.embed(batch), len(batch))
        except ProviderError as error:
            raise self._translated(error) from None

    def _checked(self, answer: list[list[float]], count: int) -> list[list[float]]:
        """The validated vectors, scaled to unit length."""
        try:
            vectors = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProviderError(clients.UNREADABLE) from None
        if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1]:
            raise self._unreadable(f"{len(vectors)} vectors for {count} texts")
        if self._dimension not in (None, vectors.shape[1]):
            raise self._unreadable(
                f"vectors of length {vectors.shape[1]} after such of {self._dimension}"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise self._unreadable("vectors without a direction")
        self._dimension = vectors.shape[1]
        found: list[list[float]] = (vectors / lengths).tolist()
        return found

    def _translated(self, error: ProviderError) -> _AttemptError:
        api = f"The API of {self._name}"
        permanent = partial(_AttemptError, rest=self._pace.refused_rest)
        transient = partial(
            _AttemptError,
            attempts=float("inf"),
            pause=error.pause,
            rest=max(self._pace.rest, error.pause),
        )
        match error.status:
            case clients.UNREACHABLE:
                return transient(
                    f"{api} does not answer. Check the network and EMBEDDING_BASE_URL, or wait "
                    f"until it is back.{proxy_advice(self._client.address)}"
                )
            case clients.UNREADABLE:
                return self._unreadable("an answer that cannot be read")
            case 401 | 403:
                return permanent(f"{api} refused the key. Set EMBEDDING_API_KEY to a valid one.")
            case 404:
                return permanent(
                    f"{api} knows no such model, or is not at this address. Check "
                    "EMBEDDING_MODEL_NAME and EMBEDDING_BASE_URL."
                )
            case 429:
                return transient(
                    f"{api} is rate limited. Lower EMBEDDING_REQUESTS_PER_MINUTE, or try later."
                )
            case status if status == 408 or status >= 500:
                return transient(f"{api} failed (status {status}). Wait until it is back.")
            case _:
                return _RefusedAttemptError(
                    f"{api} refused a request (status {error.status}). Check EMBEDDING_MODEL_NAME "
                    "and EMBEDDING_BASE_URL; a server that takes fewer texts at once needs a lower "
                    "EMBEDDING_BATCH_SIZE, one that takes shorter texts a lower -cz."
                )

    def _unreadable(self, what: str) -> _AttemptError:
        return _AttemptError(
            f"The API of {self._name} gave {what}. Check EMBEDDING_BASE_URL and "
            "EMBEDDING_MODEL_NAME.",
            attempts=MAX_UNREADABLE,
        )


def in_batches(texts: list[str], size: int) -> Iterator[list[str]]:
    """Split texts into requests of at most `size` texts and REQUEST_BYTES, at least one text."""
    batch: list[str] = []
    room = REQUEST_BYTES
    for text in texts:
        length = len(text.encode())
        if batch and (len(batch) == size or length > room):
            yield batch
            batch, room = [], REQUEST_BYTES
        batch.append(text)
        room -= length
    if batch:
        yield batch


def _limiter(requests_per_minute: int | None) -> InMemoryRateLimiter | None:
    if requests_per_minute is None:
        return None
    seconds = 60 / requests_per_minute
    return InMemoryRateLimiter(
        requests_per_second=1 / seconds, check_every_n_seconds=min(0.1, seconds / 4)
    )


def _failure(state: RetryCallState) -> _AttemptError:
    """The error of an attempt, for which another attempt is considered."""
    return cast("_AttemptError", state.outcome and state.outcome.exception())
