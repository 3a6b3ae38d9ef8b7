"""Embeddings of an API: batching, rate limit, retries of transient failures.

A build retries patiently, because embedded texts have been paid for. A question waits no longer
than a setting, and fails immediately while the API is known to fail (a circuit breaker).
"""

import logging
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.rate_limiters import InMemoryRateLimiter
from tenacity import RetryCallState, Retrying, wait_random_exponential

from database.embedding.api.clients import (
    EmbeddingClient,
    ProviderRefusedError,
    ProviderUnreachableError,
    ProviderUnreadableError,
)
from utils.errors import EmbeddingApiError, EmbeddingRefusedError

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
        self._resting = _Resting()
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
        self._resting.check()
        attempts = Retrying(
            stop=self._is_too_late,
            retry=_may_try_again,
            wait=_pause,
            before_sleep=self._say,
            reraise=True,
        )
        try:
            return attempts(partial(self._attempt, batch))
        except _AttemptError as error:
            self._resting.begin(error)
            raise

    def _is_too_late(self, state: RetryCallState) -> bool:
        """True if the next attempt could exceed the timeout."""
        spent = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        return spent + self._pace.attempt_seconds > self._pace.seconds

    def _say(self, state: RetryCallState) -> None:
        log.info("%s Trying again in %.1f s.", _failure(state), state.upcoming_sleep)

    def _attempt(self, batch: list[str]) -> list[list[float]]:
        if self._limit:
            self._limit.acquire()
        try:
            return self._checked(self._client.embed(batch), len(batch))
        except ProviderRefusedError as error:
            raise self._refusal(error) from None
        except ProviderUnreachableError:
            raise _AttemptError(
                f"The API of {self._name} does not answer. Check the network and "
                "EMBEDDING_BASE_URL, or wait until it is back.",
                attempts=float("inf"),
                rest=self._pace.rest,
            ) from None
        except ProviderUnreadableError:
            raise self._unreadable("an answer that cannot be read") from None

    def _checked(self, answer: list[list[float]], count: int) -> list[list[float]]:
        """The validated vectors, scaled to unit length."""
        try:
            vectors = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProviderUnreadableError from None
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

    def _refusal(self, error: ProviderRefusedError) -> _AttemptError:
        status, api = error.status, f"The API of {self._name}"
        pace, pause = self._pace, error.pause
        if status in {401, 403}:
            return _AttemptError(
                f"{api} refused the key. Set EMBEDDING_API_KEY to a valid one.",
                rest=pace.refused_rest,
            )
        if status == 404:
            return _AttemptError(
                f"{api} knows no such model, or is not at this address. Check "
                "EMBEDDING_MODEL_NAME and EMBEDDING_BASE_URL.",
                rest=pace.refused_rest,
            )
        if status == 429:
            return _AttemptError(
                f"{api} is rate limited. Lower EMBEDDING_REQUESTS_PER_MINUTE, or try later.",
                attempts=float("inf"),
                pause=pause,
                rest=max(pace.rest, pause),
            )
        if status == 408 or status >= 500:
            return _AttemptError(
                f"{api} failed (status {status}). Wait until it is back.",
                attempts=float("inf"),
                pause=pause,
                rest=max(pace.rest, pause),
            )
        return _RefusedAttemptError(
            f"{api} refused a request (status {status}). Check EMBEDDING_MODEL_NAME and "
            "EMBEDDING_BASE_URL; a server that takes fewer texts at once needs a lower "
            "EMBEDDING_BATCH_SIZE, one that takes shorter texts a lower -cz."
        )

    def _unreadable(self, what: str) -> _AttemptError:
        return _AttemptError(
            f"The API of {self._name} gave {what}. Check EMBEDDING_BASE_URL and "
            "EMBEDDING_MODEL_NAME.",
            attempts=MAX_UNREADABLE,
        )


@dataclass
class _Resting:
    """Circuit breaker: requests fail immediately for a while after a failure."""

    until: float = 0.0
    because: _AttemptError = field(default_factory=lambda: _AttemptError(""))

    def begin(self, error: _AttemptError) -> None:
        if error.rest:
            self.because = error
            self.until = time.monotonic() + min(error.rest, _MAX_REST)

    def check(self) -> None:
        if time.monotonic() < self.until:
            raise EmbeddingApiError(str(self.because))


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


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_try_again(state: RetryCallState) -> bool:
    error = _failure(state)
    return isinstance(error, _AttemptError) and state.attempt_number < error.attempts


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: Retry-After plus the jittered backoff."""
    error = _failure(state)
    return error.pause + BACKOFF(state) if isinstance(error, _AttemptError) else 0.0
