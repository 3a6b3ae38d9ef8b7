"""Calls any LangChain chat model, under one deadline per answer.

Providers' clients differ in retries, deadlines and errors or lack them, so all of that is here,
with a limit on concurrent calls and a circuit breaker.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, stop_before_delay, wait_random_exponential

from inference_worker.answer import FinishReason, TokenUsage
from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.generation import provider_errors
from inference_worker.generation.circuit_breaker import CircuitBreaker, CircuitOpenError
from inference_worker.generation.provider_errors import AttemptError, translate_errors
from inference_worker.generation.reasoning import ReasoningFilter, without_reasoning
from inference_worker.limits.spending import Spending
from utils.errors import OverloadedError
from utils.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

ATTEMPT_SHARE = 2 / 3
"""Share of the total time for one attempt, so that one that hangs leaves time for another."""

BACKOFF = wait_random_exponential(multiplier=0.5, max=8)
"""Full jitter: a random share of 0.5, 1, 2 ... seconds."""

_FINISH = ("finish_reason", "stop_reason", "done_reason")
"""Providers' names for the reason why a completion ended."""
_FILTERED = ("refusal", "safety", "recitation", "prohibited_content", "blocklist", "spii")
_FINISH_REASONS: "dict[str, FinishReason]" = {
    **dict.fromkeys(("length", "max_tokens", "model_length"), "length"),
    **dict.fromkeys((*_FILTERED, "content_filter", "content_filtered"), "content_filter"),
}
"""Their values for a completion that is not complete."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A completion."""

    text: str
    model: str
    usage: TokenUsage | None
    """None if the provider reports none."""
    finish_reason: FinishReason = "stop"


class LanguageModel:
    """A chat model with retries, a deadline, a concurrency limit and a circuit breaker.

    Args:
        chat: The chat model, with its own retries turned off.
        close: Closes its connections.
    """

    def __init__(
        self, chat: "BaseChatModel", settings: Settings, close: Callable[[], Awaitable[None]]
    ) -> None:
        self._chat = chat
        self._seconds = settings.inference_timeout
        self._close = close
        self.name = settings.inference_model
        self.is_offered = True
        """False while no server offers it: then it is as if there were no language model."""
        self.unavailable_reason = ""
        """Why it cannot be called at the moment; safe to show to clients."""
        self.spending: Spending | None = None
        """Admits calls, and counts their tokens; None: all are admitted, none is counted."""
        self.concurrency = ConcurrencyLimit(settings.inference_concurrency)
        self.breaker = CircuitBreaker(
            failures=settings.breaker_failures, seconds=settings.breaker_seconds
        )

    def deadline(self) -> float:
        """Deadline of an answer that starts now, on the event loop's clock."""
        return _now() + self._seconds

    async def generate(
        self, messages: "Sequence[BaseMessage]", deadline: float | None = None
    ) -> Generation:
        """Write one answer by the deadline, which defaults to that of an answer that starts now.

        Raises:
            GenerationError: the model failed; the message is safe to show to clients.
        """
        deadline = deadline or self.deadline()
        async with self._answer_time(deadline):
            retry = _retrying(deadline)
            generation: Generation = await retry(self._complete, messages, deadline)
        return generation

    async def stream(
        self, messages: "Sequence[BaseMessage]", deadline: float | None = None
    ) -> AsyncGenerator[str | Generation, None]:
        """Write one answer: yield its text in pieces, and the whole Generation at the end.

        A failure after the first piece is not retried: streamed text cannot be retracted.

        Raises:
            GenerationError: the model failed; the message is safe to show to clients.
        """
        deadline = deadline or self.deadline()
        async with AsyncExitStack() as call:
            async with self._answer_time(deadline):
                retry = _retrying(deadline)
                stream: _Stream = await retry(self._open_stream, messages, call, deadline)
            piece: str | None = stream.text
            try:
                while piece is not None:
                    yield piece
                    async with self._answer_time(deadline):
                        with provider_errors.translate_stream_errors():
                            piece = await stream.next()
            finally:
                await self._record(stream.usage)
            yield stream.generation(self.name)

    async def _record(self, usage: TokenUsage | None) -> None:
        """Count what a call used, whether or not its text is of use."""
        if self.spending and usage:
            await self.spending.record(usage)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._close()

    async def _complete(self, messages: "Sequence[BaseMessage]", deadline: float) -> Generation:
        async with self._call(deadline):
            async with self._attempt_time():
                message = await self._chat.ainvoke(list(messages))
            await self._record(_usage(message))
            text = without_reasoning(_valid(str(message.text))).strip()
            reason = _finish_reason(_finish(message))
            if not text:
                raise provider_errors.no_text_error(reason)
            return Generation(text, self.name, _usage(message), reason)

    async def _open_stream(
        self, messages: "Sequence[BaseMessage]", call: AsyncExitStack, deadline: float
    ) -> "_Stream":
        """Open a stream, which `call` closes, and read its first piece."""
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._call(deadline))
            chunks = self._chat.astream(list(messages))
            await opening.enter_async_context(aclosing(chunks))  # type: ignore[type-var]
            stream = _Stream(chunks)
            try:
                async with self._attempt_time():
                    await stream.next()
            except AttemptError:
                await self._record(stream.usage)
                raise
            self.breaker.close()
            await call.enter_async_context(opening.pop_all())
            return stream

    @asynccontextmanager
    async def _call(self, deadline: float) -> AsyncIterator[None]:
        """Acquire a slot for one call; every exception within is raised as an AttemptError."""
        if self.unavailable_reason:
            raise AttemptError(self.unavailable_reason, blames_service=False)
        try:
            with self.breaker.call():
                async with self.concurrency.slot(deadline - _now()):
                    if self.spending and (refusal := await self.spending.admit_call()):
                        raise AttemptError(refusal, blames_service=False)
                    with translate_errors():
                        yield
        except CircuitOpenError:
            message = "the language model failed repeatedly and is not called for a moment"
            raise AttemptError(message, blames_service=False) from None
        except OverloadedError:
            raise AttemptError("the language model is busy", blames_service=False) from None

    @asynccontextmanager
    async def _attempt_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds * ATTEMPT_SHARE):
                yield
        except TimeoutError:
            raise provider_errors.timeout_error() from None

    @asynccontextmanager
    async def _answer_time(self, deadline: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline):
                yield
        except TimeoutError as error:
            message = f"the language model did not answer within {self._seconds:g} s"
            raise AttemptError(message) from error


class _Stream:
    """A streamed completion."""

    def __init__(self, chunks: "AsyncIterator[AIMessage]") -> None:
        self._chunks = chunks
        self._pieces: list[str] = []
        self.usage: TokenUsage | None = None
        """As far as the provider has reported it."""
        self._finish: str | None = None
        self._reasoning = ReasoningFilter()

    @property
    def text(self) -> str:
        """The last piece."""
        return self._pieces[-1]

    async def next(self) -> str | None:
        """Read the next piece of text; None at the end.

        Raises:
            AttemptError: the stream ended without a finish reason, or without text.
        """
        async for chunk in self._chunks:
            if usage := _usage(chunk):
                self.usage = self.usage + usage if self.usage else usage
            self._finish = _finish(chunk) or self._finish
            if text := self._kept(self._reasoning.feed(_valid(str(chunk.text)))):
                return text
        if text := self._kept(self._reasoning.finish()):
            return text
        if self._finish is None or self._finish == "error":
            raise provider_errors.interrupted_error()
        if not self._pieces:
            raise provider_errors.no_text_error(_finish_reason(self._finish))
        return None

    def _kept(self, text: str) -> str:
        """Keep a piece, without white space at the beginning: the completion may have no text."""
        if text := text if self._pieces else text.lstrip():
            self._pieces.append(text)
        return text

    def generation(self, model: str) -> Generation:
        """The completion read so far."""
        text = "".join(self._pieces)
        return Generation(text, model, self.usage, _finish_reason(self._finish))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _finish(message: "AIMessage") -> str | None:
    """The provider's finish reason; None while there is none."""
    metadata: dict[str, Any] = message.response_metadata
    return next((str(metadata[name]) for name in _FINISH if metadata.get(name)), None)


def _valid(text: str) -> str:
    """Replace lone surrogates, which JSON can contain and no encoder accepts."""
    return text.encode(errors="replace").decode()


def _finish_reason(reason: str | None) -> FinishReason:
    return _FINISH_REASONS.get((reason or "").lower(), "stop")


def _usage(message: "AIMessage") -> TokenUsage | None:
    if not (usage := message.usage_metadata):
        return None
    return TokenUsage(int(usage["input_tokens"] or 0), int(usage["output_tokens"] or 0))


def _retrying(deadline: float) -> AsyncRetrying:
    """Retry a function that raises AttemptErrors, until the deadline at most."""
    stop = stop_before_delay(max(0.0, deadline - _now()))
    return AsyncRetrying(stop=stop, wait=_pause, retry=_may_retry, reraise=True)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _may_retry(state: RetryCallState) -> bool:
    error = _failure(state)
    return isinstance(error, AttemptError) and state.attempt_number < error.attempts


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: those that the service asks for, plus jittered backoff."""
    error = _failure(state)
    if not isinstance(error, AttemptError):
        return 0.0
    return error.pause + (BACKOFF(state) if error.backoff else 0.0)
