"""How a call to a language model failed, in words that a caller may see, whoever the provider is.

Providers' exceptions quote addresses, keys and upstream bodies, so none of their text is passed on:
their kind and status are looked at, and of a refusal's text only whether it speaks of length.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from httpx_sse import SSEError

from dataset.web.http.retry_after import retry_after_seconds
from utils.errors import GenerationError

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
MAX_UNREADABLE = 2
"""A body that cannot be read is tried once more: it is mostly a proxy's error page or a cut
answer, but it may also have been paid for, so not as often as a plain failure."""

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What LangChain's clients raise on a body of another shape, since they check none."""
_TOO_LONG = re.compile(
    r"context.{0,20}(?:length|window|size)|too (?:long|large|many tokens)|maximum.{0,20}tokens",
    re.IGNORECASE,
)


_TOLD_IN_THE_STREAM = {"APIError", "APIStatusError", "ResponseError"}
"""What the clients of OpenAI, Anthropic and Ollama raise where a stream that began well carries an
error; it has no status then, or that of the beginning."""


class AttemptError(GenerationError):
    """One call failed; says how many calls may be made in all, and how long to wait first."""

    def __init__(
        self,
        message: str,
        *,
        attempts: int = 1,
        pause: float = 0.0,
        backoff: bool = True,
        blames_service: bool = True,
    ) -> None:
        """Describe a failure.

        Args:
            message: What failed, fit for a caller's eyes.
            attempts: How many calls may be made in all.
            pause: Seconds the service asks to wait.
            backoff: Whether to wait a jittered time on top.
            blames_service: Whether it speaks against the service rather than this one request.
        """
        super().__init__(message)
        self.attempts = attempts
        self.pause = pause
        self.backoff = backoff
        self.blames_service = blames_service


class PromptTooLongError(AttemptError):
    """The prompt does not fit the model; a shorter one may."""

    def __init__(self) -> None:
        super().__init__("the prompt is too long for the language model", blames_service=False)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Have whatever a provider's client raises in here told as an AttemptError."""
    try:
        yield
    except AttemptError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the passages can be quoted
        # Without a cause: it quotes the upstream body, and a log that follows the chain must not.
        raise _failure(error) from None


@contextmanager
def translate_stream_errors() -> Iterator[None]:
    """Have whatever goes wrong after the first words told as an answer that broke off."""
    try:
        yield
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        log.info("The language model broke off: %s", type(error).__name__)
        raise interrupted_error() from None


def _failure(error: Exception) -> AttemptError:
    """What a provider's exception, or one of its causes, says."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, AttemptError):
            return each
    for each in chain:
        response = getattr(each, "response", None)
        status = getattr(each, "status_code", getattr(response, "status_code", None))
        if isinstance(status, int) and status >= 400:
            # Ollama's client keeps the status, and the headers only in what it came from.
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
    if type(error).__name__ in _TOLD_IN_THE_STREAM:
        return interrupted_error()
    log.error("Unforeseen from the language model's client: %s", type(error).__name__)
    return AttemptError("the language model failed")


def status_error(status: int, retry_after: str, text: str) -> AttemptError:
    """What an HTTP status means. Of the text only whether it speaks of length is taken."""
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


def timeout_error() -> AttemptError:
    """One call took its share of the time. It has waited long enough: no backoff on top."""
    message = "the language model did not answer in time"
    return AttemptError(message, attempts=MAX_ATTEMPTS, backoff=False)


def unreadable_error() -> AttemptError:
    """What came is no answer."""
    message = "the language model's answer could not be read"
    return AttemptError(message, attempts=MAX_UNREADABLE)


def empty_answer_error() -> AttemptError:
    """An answer came, without a word in it."""
    return AttemptError("the language model gave an empty answer", attempts=MAX_UNREADABLE)


def interrupted_error() -> AttemptError:
    """The answer ended before its end."""
    return AttemptError("the language model broke off", attempts=MAX_UNREADABLE)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(error: BaseException) -> str:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return str(headers.get("Retry-After", ""))


def _is_about_connection(error: BaseException) -> bool:
    """Whether it says that nobody was reached, or that the line broke."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, httpx.TransportError | OSError) or bool(
        # openai and anthropic have trees of their own, and bring an HTTP client of their own.
        names & {"APIConnectionError", "TransportError", "NetworkError", "ProtocolError"}
    )
