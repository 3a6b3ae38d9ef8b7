"""Translates any provider's exception into an AttemptError that is safe to show to clients.

Providers' exceptions quote addresses, keys and upstream bodies, so none of their text is passed on.
Only their type and status count, and whether the text of a rejection mentions the prompt's length.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx
from httpx_sse import SSEError

from dataset.web.http.responses import retry_after_seconds
from inference_worker.answer import FinishReason
from utils.errors import GenerationError

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
MAX_UNREADABLE = 2
"""Attempts if a response cannot be parsed: mostly a proxy's error page or a truncated response, but
it may have been billed, so fewer than for other failures."""

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Raised by LangChain's clients on a body of another shape, as they validate none."""
_TOO_LONG = re.compile(
    r"context.{0,20}(?:length|window|size)|too (?:long|large|many tokens)|maximum.{0,20}tokens",
    re.IGNORECASE,
)
_ERRORS_IN_STREAM = {"APIError", "APIStatusError", "ResponseError"}
"""Raised by the clients of OpenAI, Anthropic and Ollama for an error event within a stream; without
a status, or with that of the stream's start."""


class AttemptError(GenerationError):
    """One call failed; carries whether and when to retry it.

    Args:
        message: What failed; safe to show to clients.
        attempts: How many attempts may be made in total.
        pause: Seconds that the service asks to wait before a retry.
        backoff: Whether to add a jittered wait.
        blames_service: Whether the service is at fault rather than this one request.
    """

    def __init__(
        self,
        message: str,
        *,
        attempts: int = 1,
        pause: float = 0.0,
        backoff: bool = True,
        blames_service: bool = True,
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.pause = pause
        self.backoff = backoff
        self.blames_service = blames_service


class PromptTooLongError(AttemptError):
    """The prompt exceeds the model's context; a shorter one may fit."""

    def __init__(self) -> None:
        super().__init__("the prompt is too long for the language model", blames_service=False)


timeout_error = partial(
    AttemptError, "the language model did not answer in time", attempts=MAX_ATTEMPTS, backoff=False
)
"""The attempt exceeded its share of the time; without backoff, as it has waited enough."""
_retried_once = partial(AttemptError, attempts=MAX_UNREADABLE)
empty_answer_error = partial(_retried_once, "the language model gave an empty answer")
_filtered_error = partial(
    AttemptError, "the language model's content filter blocked the answer", blames_service=False
)
unreadable_error = partial(_retried_once, "the language model's answer could not be read")
interrupted_error = partial(_retried_once, "the language model broke off")


def no_text_error(reason: FinishReason) -> AttemptError:
    """The error for a completion without text that ended for this reason."""
    return _filtered_error() if reason == "content_filter" else empty_answer_error()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise whatever a provider's client raises within as an AttemptError."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the passages can be quoted after any
        # Without its cause, whose text the log must not show: it quotes the upstream body.
        raise _failure(error) from None


@contextmanager
def translate_stream_errors() -> Iterator[None]:
    """Raise any error after the first token as an interrupted answer."""
    try:
        yield
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        log.info("The language model broke off: %s", type(error).__name__)
        raise interrupted_error() from None


def _failure(error: Exception) -> AttemptError:
    """Classify a provider's exception by itself and its causes."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, AttemptError):
            return each
    for each in chain:
        response = getattr(each, "response", None)
        status = getattr(each, "status_code", getattr(response, "status_code", None))
        if isinstance(status, int) and status >= 400:
            # Ollama's client has the status, and the headers only in the exception's cause.
            retry_after = "".join(map(_retry_after, chain))
            return status_error(status, retry_after, f"{each} {getattr(each, 'code', '')}")
    if any(isinstance(each, TimeoutError) or "Timeout" in type(each).__name__ for each in chain):
        return timeout_error()
    if any(isinstance(each, httpx.DecodingError | SSEError) for each in chain):
        return unreadable_error()
    if any(map(_is_about_connection, chain)):
        return AttemptError("the language model cannot be reached", attempts=MAX_ATTEMPTS)
    if isinstance(error, _UNREADABLE):
        return unreadable_error()
    if type(error).__name__ in _ERRORS_IN_STREAM:
        return interrupted_error()
    log.error("Unexpected exception of the language model's client: %s", type(error).__name__)
    return AttemptError("the language model failed")


def status_error(status: int, retry_after: str, text: str) -> AttemptError:
    """Classify an HTTP status; `text` is only searched for a complaint about length."""
    if status in {401, 403}:
        return AttemptError("the language model refused the API key")
    if status == 404:
        return AttemptError("the language model's name or address is not known")
    pause = retry_after_seconds(retry_after)
    if status == 429:
        message = "the language model is rate limited"
        return AttemptError(message, attempts=MAX_ATTEMPTS, pause=pause)
    if status == 408 or status >= 500:
        message = "the language model's service failed"
        return AttemptError(message, attempts=MAX_ATTEMPTS, pause=pause)
    if status == 413 or _TOO_LONG.search(text):
        return PromptTooLongError()
    return AttemptError("the language model refused the request", blames_service=False)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(error: BaseException) -> str:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return str(headers.get("Retry-After", ""))


def _is_about_connection(error: BaseException) -> bool:
    """Whether the service could not be reached or the connection broke."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, httpx.TransportError | OSError) or bool(
        # openai and anthropic have exception trees and HTTP clients of their own.
        names & {"APIConnectionError", "TransportError", "NetworkError", "ProtocolError"}
    )
