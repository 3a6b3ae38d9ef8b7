"""The language model: any LangChain chat model, called under one deadline an answer.

What every provider's client does differently or not at all is here: retries, deadline, bounded
calls, a circuit breaker, and failures told in words that a caller may see.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, stop_before_delay, wait_random_exponential

from inference_worker.answer import TokenUsage
from inference_worker.generation import provider_errors
from inference_worker.generation.circuit_breaker import CircuitBreaker, CircuitOpenError
from inference_worker.generation.concurrency_limit import ConcurrencyLimit, QueueFullError
from inference_worker.generation.provider_errors import AttemptError, translate_errors

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

ATTEMPT_SHARE = 2 / 3
"""The share of the total time that one attempt may take, so that one that hangs leaves room."""

BACKOFF = wait_random_exponential(multiplier=0.5, max=8)
"""Full jitter: a random share of 0.5, 1, 2 ... seconds."""

_FINISH = ("finish_reason", "stop_reason", "done_reason")
"""Under which name providers say why an answer ended."""
_CUT = {"length", "max_tokens", "model_length"}
"""What they say of one that was cut at the most tokens it may have."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the language model wrote, and what it took."""

    text: str
    model: str
    usage: TokenUsage | None
    """None where the provider gave no figures."""
    truncated: bool
    """Whether it was cut at the most tokens that an answer may have."""
    attempts: int


class LanguageModel:
    """Writes answers.

    Args:
        chat: The chat model, whose own retrying is off.
        name: How answers call it.
        seconds: The time that one answer may take, over all attempts and waiting.
        concurrency: How many calls may be under way at once.
        breaker_failures: After so many failures in a row it is left alone for a while.
        breaker_seconds: For how long.
        close: Closes the client's connections.
    """

    def __init__(
        self,
        chat: "BaseChatModel",
        *,
        name: str,
        seconds: float,
        concurrency: int,
        breaker_failures: int,
        breaker_seconds: float,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._chat = chat
        self._seconds = seconds
        self._close = close
        self.name = name
        self.slots = ConcurrencyLimit(concurrency)
        self.breaker = CircuitBreaker(
            "The language model",
            failures=breaker_failures,
            seconds=breaker_seconds,
            is_failure=lambda error: isinstance(error, AttemptError) and error.blames_service,
        )

    def deadline(self) -> float:
        """When an answer that is begun now must have ended, on the event loop's clock."""
        return _now() + self._seconds

    async def generate(
        self, messages: "Sequence[BaseMessage]", deadline: float | None = None
    ) -> Generation:
        """Have the model write one answer.

        Args:
            messages: The prompt.
            deadline: When it must have ended, where it was begun before.

        Raises:
            GenerationError: there is none; the message is fit for a caller's eyes.
        """
        deadline = deadline or self.deadline()
        with self._out_of_time():
            async with asyncio.timeout_at(deadline):
                async for attempt in self._attempts(deadline):
                    with attempt:
                        number = attempt.retry_state.attempt_number
                        return await self._complete(messages, number, deadline)
        raise AssertionError("tenacity ends with a result or an exception")

    async def stream(
        self, messages: "Sequence[BaseMessage]", deadline: float | None = None
    ) -> AsyncGenerator[str | Generation, None]:
        """Have the model write one answer; give its text as it comes, and the whole at the end.

        Once a piece was given, a failure is final: what was said cannot be said otherwise.

        Raises:
            GenerationError: there is none, or it broke off; the message is fit for a caller's eyes.
        """
        deadline = deadline or self.deadline()
        async with AsyncExitStack() as call:
            with self._out_of_time():
                async with asyncio.timeout_at(deadline):
                    reading = await self._begin(messages, call, deadline)
            piece: str | None = reading.text
            while piece is not None:
                yield piece
                with self._out_of_time():
                    async with asyncio.timeout_at(deadline):
                        with provider_errors.translate_stream_errors():
                            piece = await reading.next()
            yield reading.generation(self.name)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._close:
            await self._close()

    async def _complete(
        self, messages: "Sequence[BaseMessage]", number: int, deadline: float
    ) -> Generation:
        async with self._call(deadline):
            async with self._attempt_time():
                message = await self._chat.ainvoke(list(messages))
            text = str(message.text).strip()
            if not text:
                raise provider_errors.empty_answer_error()
            truncated = _finish(message) in _CUT
            return Generation(text, self.name, _usage(message), truncated, number)

    async def _begin(
        self, messages: "Sequence[BaseMessage]", call: AsyncExitStack, deadline: float
    ) -> "_Reading":
        """Open a stream and read its first piece, in as many attempts as that may take."""
        async for attempt in self._attempts(deadline):
            with attempt:
                async with AsyncExitStack() as opening:
                    await opening.enter_async_context(self._call(deadline))
                    chunks = self._chat.astream(list(messages))
                    await opening.enter_async_context(aclosing(chunks))  # type: ignore[type-var]
                    reading = _Reading(chunks, attempt.retry_state.attempt_number)
                    async with self._attempt_time():
                        await reading.next()
                    self.breaker.answers()
                    await call.enter_async_context(opening.pop_all())
                    return reading
        raise AssertionError("tenacity ends with a result or an exception")

    @asynccontextmanager
    async def _call(self, deadline: float) -> AsyncIterator[None]:
        """Be one of the calls under way; whatever goes wrong in here is an AttemptError."""
        try:
            with self.breaker.call():
                async with self.slots.slot(deadline - _now()):
                    with translate_errors():
                        yield
        except CircuitOpenError:
            message = "the language model failed repeatedly and is left alone for a moment"
            raise AttemptError(message, blames_service=False) from None
        except QueueFullError:
            raise AttemptError("the language model is busy", blames_service=False) from None

    @asynccontextmanager
    async def _attempt_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds * ATTEMPT_SHARE):
                yield
        except TimeoutError:
            raise provider_errors.timeout_error() from None

    @contextmanager
    def _out_of_time(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            message = f"the language model did not answer within {self._seconds:g} s"
            raise AttemptError(message) from error

    def _attempts(self, deadline: float) -> AsyncRetrying:
        left = max(0.0, deadline - _now())
        return AsyncRetrying(
            stop=stop_before_delay(left), wait=_pause, retry=_may_try_again, reraise=True
        )


class _Reading:
    """A stream that is being read."""

    def __init__(self, chunks: "AsyncIterator[AIMessage]", attempt: int) -> None:
        self._chunks = chunks
        self._attempt = attempt
        self._said: list[str] = []
        self._usage: TokenUsage | None = None
        self._finish: str | None = None

    @property
    def text(self) -> str:
        """The piece read last."""
        return self._said[-1]

    async def next(self) -> str | None:
        """Read on to the next piece of text; None at the end.

        Raises:
            AttemptError: the end came without the provider saying so, or nothing was written.
        """
        async for chunk in self._chunks:
            if usage := _usage(chunk):
                before = self._usage or TokenUsage(0, 0)
                self._usage = TokenUsage(
                    before.input_tokens + usage.input_tokens,
                    before.output_tokens + usage.output_tokens,
                )
            self._finish = _finish(chunk) or self._finish
            # An answer begins with a word: what is blank before it may yet turn out to be all.
            text = str(chunk.text) if self._said else str(chunk.text).lstrip()
            if text:
                self._said.append(text)
                return text
        if self._finish is None or self._finish == "error":
            raise provider_errors.interrupted_error()
        if not self._said:
            raise provider_errors.empty_answer_error()
        return None

    def generation(self, model: str) -> Generation:
        """What was read."""
        text = "".join(self._said)
        return Generation(text, model, self._usage, self._finish in _CUT, self._attempt)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _finish(message: "AIMessage") -> str | None:
    """Why the answer ended, in the provider's word; None while it has not."""
    metadata: dict[str, Any] = message.response_metadata
    return next((str(metadata[name]) for name in _FINISH if metadata.get(name)), None)


def _usage(message: "AIMessage") -> TokenUsage | None:
    usage = message.usage_metadata
    return (
        TokenUsage(int(usage["input_tokens"] or 0), int(usage["output_tokens"] or 0))
        if usage
        else None
    )


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_try_again(state: RetryCallState) -> bool:
    error = _failure(state)
    return isinstance(error, AttemptError) and state.attempt_number < error.attempts


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asks for, plus the jittered backoff."""
    error = _failure(state)
    if not isinstance(error, AttemptError):
        return 0.0
    return error.pause + (BACKOFF(state) if error.backoff else 0.0)
