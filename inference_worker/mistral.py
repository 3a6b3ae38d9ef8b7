"""The language model: Mistral's chat API, called once an answer under one deadline.

langchain-mistralai retries neither 429 nor 5xx, waits at least 4 s before it tries a broken
connection again, and puts the upstream body in its exceptions. So its own retrying is off, and
the retries, the deadline and the wording of failures are here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx
from tenacity import AsyncRetrying, RetryCallState, stop_before_delay, wait_random_exponential

from utils.errors import GenerationError, SettingsError
from utils.settings import Settings

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_mistralai import ChatMistralAI

MAX_ATTEMPTS = 4
MAX_UNREADABLE = 2
"""A body that cannot be read is tried once more: it is mostly a proxy's error page or a cut
answer, but it may also have been paid for, so not as often as a plain failure."""

ATTEMPT_SHARE = 2 / 3
"""The share of the total time that one attempt may take, so that one that hangs leaves room."""

CONNECT_SECONDS = 5.0
BACKOFF = wait_random_exponential(multiplier=0.5, max=8)
"""Full jitter: a random share of 0.5, 1, 2 ... seconds."""

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What langchain-mistralai raises on a body of another shape, since it checks none."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the language model wrote, and what it took."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    attempts: int


class _AttemptError(GenerationError):
    """One call failed; says how many calls may be made in all, and how long to wait first."""

    def __init__(
        self, message: str, *, attempts: int = 1, pause: float = 0.0, backoff: bool = True
    ) -> None:
        super().__init__(message)
        self.attempts = attempts
        self.pause = pause
        self.backoff = backoff


class Mistral:
    """Writes answers with a Mistral model.

    Args:
        chat: The chat model, whose own retrying is off.
        seconds: The time that one answer may take, over all attempts and waiting.
        concurrency: How many calls may be under way at once.
    """

    def __init__(self, chat: "ChatMistralAI", *, seconds: float, concurrency: int) -> None:
        self._chat = chat
        self._seconds = seconds
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def model(self) -> str:
        """The model's name, as an answer's `generator` gives it."""
        return self._chat.model

    async def generate(self, messages: "Sequence[BaseMessage]") -> Generation:
        """Have the model write one answer.

        Raises:
            GenerationError: there is none; the message is fit for a caller's eyes.
        """
        attempts = AsyncRetrying(
            stop=stop_before_delay(self._seconds), wait=_pause, retry=_may_try_again, reraise=True
        )
        try:
            async with asyncio.timeout(self._seconds):
                async for attempt in attempts:
                    with attempt:
                        return await self._attempt(messages, attempt.retry_state.attempt_number)
        except TimeoutError as error:
            message = f"the language model did not answer within {self._seconds:g} s"
            raise GenerationError(message) from error
        raise AssertionError("tenacity ends with a result or an exception")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.async_client.aclose()
        self._chat.client.close()

    async def _attempt(self, messages: "Sequence[BaseMessage]", number: int) -> Generation:
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds * ATTEMPT_SHARE):
                    message = await self._chat.ainvoke(list(messages))
                return _generation(message, self._chat.model, number)
            except TimeoutError as error:
                # It has waited long enough: no backoff on top.
                raise _AttemptError(
                    "the language model did not answer in time",
                    attempts=MAX_ATTEMPTS,
                    backoff=False,
                ) from error
            except httpx.DecodingError:
                raise _unreadable() from None
            except httpx.RequestError as error:
                raise _AttemptError(
                    "the language model cannot be reached", attempts=MAX_ATTEMPTS
                ) from error
            except UNREADABLE:
                # The cause quotes the upstream body; a log that follows the chain must not.
                raise _unreadable() from None


def mistral_from(settings: Settings) -> Mistral | None:
    """Make the language model the settings name, or None when they hold no key.

    Raises:
        SettingsError: the key can be no key.
    """
    if settings.mistral_api_key is None:
        return None
    key = settings.mistral_api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("MISTRAL_API_KEY: holds characters that no key has; copy it again.")

    from langchain_mistralai import ChatMistralAI

    chat = ChatMistralAI(
        model_name=settings.inference_model,
        temperature=0.0,
        base_url=settings.mistral_base_url,
        api_key=settings.mistral_api_key,
        max_retries=1,
        async_client=_http_client(settings, key),
    )
    return Mistral(
        chat,
        seconds=settings.inference_timeout,
        concurrency=settings.inference_concurrency,
    )


def _http_client(settings: Settings, key: str) -> httpx.AsyncClient:
    """Connect as ChatMistralAI does, with a pool as large as the calls allowed at once."""
    attempt = settings.inference_timeout * ATTEMPT_SHARE
    return httpx.AsyncClient(
        base_url=settings.mistral_base_url,
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Authorization": f"Bearer {key}",
        },
        timeout=httpx.Timeout(attempt, connect=min(CONNECT_SECONDS, attempt)),
        limits=httpx.Limits(
            max_connections=settings.inference_concurrency,
            max_keepalive_connections=settings.inference_concurrency,
        ),
        event_hooks={"response": [_raise_for_status]},
    )


async def _raise_for_status(response: httpx.Response) -> None:
    """Refuse anything but success before its body is read, so that no exception can quote it."""
    status = response.status_code
    if response.is_success:
        return
    if status in {401, 403}:
        raise _AttemptError("the language model refused the API key")
    if status == 404:
        raise _AttemptError("the language model's name or address is not known")
    pause = _seconds_to_wait(response.headers.get("Retry-After", ""))
    if status == 429:
        message = "the language model is rate limited"
        raise _AttemptError(message, attempts=MAX_ATTEMPTS, pause=pause)
    if status == 408 or status >= 500:
        message = "the language model's service failed"
        raise _AttemptError(message, attempts=MAX_ATTEMPTS, pause=pause)
    raise _AttemptError("the language model refused the request")


def _generation(message: "AIMessage", model: str, attempts: int) -> Generation:
    text = str(message.text).strip()
    if not text:
        raise _AttemptError("the language model gave an empty answer", attempts=MAX_UNREADABLE)
    usage = message.usage_metadata
    return Generation(
        text=text,
        model=model,
        input_tokens=int(usage["input_tokens"] or 0) if usage else 0,
        output_tokens=int(usage["output_tokens"] or 0) if usage else 0,
        attempts=attempts,
    )


def _unreadable() -> _AttemptError:
    message = "the language model's answer could not be read"
    return _AttemptError(message, attempts=MAX_UNREADABLE)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_try_again(state: RetryCallState) -> bool:
    error = _failure(state)
    return isinstance(error, _AttemptError) and state.attempt_number < error.attempts


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asks for, plus the jittered backoff."""
    error = _failure(state)
    if not isinstance(error, _AttemptError):
        return 0.0
    return error.pause + (BACKOFF(state) if error.backoff else 0.0)


def _seconds_to_wait(retry_after: str) -> float:
    """Read a Retry-After header, in seconds or as an HTTP date (RFC 9110, 10.2.3); 0 if neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        then = parsedate_to_datetime(retry_after)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0.0, (then - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0
