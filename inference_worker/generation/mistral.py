"""Mistral's chat model, over an HTTP client of our own.

langchain-mistralai retries neither 429 nor 5xx, waits at least 4 s before it retries a connection
error, and quotes the upstream body in its exceptions. So its retries are off, and a response hook
raises on an error status before its body is read into an exception.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import httpx

from inference_worker.generation.language_model import ATTEMPT_SHARE
from inference_worker.generation.provider_errors import status_error
from utils.errors import SettingsError
from utils.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CONNECT_SECONDS = 5.0
_MAX_IDLE = 32
"""Idle connections kept open for the next call."""


def mistral_chat(
    settings: Settings, model: str
) -> "tuple[BaseChatModel, Callable[[], Awaitable[None]]]":
    """Create the chat model, and a function that closes its connections.

    Raises:
        SettingsError: the key is malformed.
    """
    from langchain_mistralai import ChatMistralAI

    key = settings.mistral_api_key.get_secret_value() if settings.mistral_api_key else ""
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("MISTRAL_API_KEY: contains characters that no key has; copy it again.")
    http = _http_client(settings, key)
    chat = ChatMistralAI(
        model_name=model,
        temperature=0.0,
        max_tokens=settings.inference_max_tokens,
        base_url=settings.mistral_base_url,
        api_key=settings.mistral_api_key,
        max_retries=1,
        async_client=http,
    )

    async def close() -> None:
        await http.aclose()
        chat.client.close()

    return chat, close


def _http_client(settings: Settings, key: str) -> httpx.AsyncClient:
    """A client as ChatMistralAI's own, but for the limits and hooks."""
    attempt = settings.inference_timeout * ATTEMPT_SHARE
    return httpx.AsyncClient(
        base_url=settings.mistral_base_url,
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Authorization": f"Bearer {key}",
        },
        timeout=httpx.Timeout(attempt, connect=min(CONNECT_SECONDS, attempt)),
        limits=connection_limits(settings),
        event_hooks={"response": [_raise_for_status, _read_to_the_end]},
    )


def connection_limits(settings: Settings) -> httpx.Limits:
    """One connection per concurrent call."""
    return httpx.Limits(
        max_connections=settings.inference_concurrency, max_keepalive_connections=_MAX_IDLE
    )


async def _raise_for_status(response: httpx.Response) -> None:
    """Raise on an error status, so that no exception of ChatMistralAI can quote the body."""
    if response.is_success:
        return
    # Only these have a body that explains the error: others may have a proxy's error page.
    text = (await response.aread())[:4096] if response.status_code in {400, 422} else b""
    retry_after = response.headers.get("Retry-After", "")
    raise status_error(response.status_code, retry_after, text.decode(errors="replace"))


async def _read_to_the_end(response: httpx.Response) -> None:
    """Read the body to its end, so that the connection can be reused."""
    is_stream = response.headers.get("Content-Type", "").startswith("text/event-stream")
    if is_stream and isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _WholeStream(response.stream)


_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_EMPTY_CHOICE = b'"choices": [{"index": 0, "delta": {}}]'
"""ChatMistralAI skips a streamed chunk without choices, and with it the usage of all tokens that
some compatible servers send in one."""


class _WholeStream(httpx.AsyncByteStream):
    """A body whose chunks all have a choice, and whose last bytes are read before it is closed.

    ChatMistralAI stops at `[DONE]`, a few bytes before the end, and a connection can be reused only
    if its body was read to the end: each answer would have to open a new one.
    """

    _LAST = b"[DONE]"
    _PATIENCE = 0.5
    """Seconds."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream
        self._parts = aiter(stream)
        self._tail = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line = b""
        async for part in self._parts:
            self._tail = (self._tail + part)[-2 * len(self._LAST) :]
            complete, end, rest = part.rpartition(b"\n")
            if end:
                yield _NO_CHOICES.sub(_EMPTY_CHOICE, line + complete + end)
                line = rest
            else:
                line += part
        yield line

    async def aclose(self) -> None:
        """Read the rest of a complete answer; close an interrupted one at once."""
        if self._LAST in self._tail:
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                async with asyncio.timeout(self._PATIENCE):
                    async for _ in self._parts:
                        pass
        await self._stream.aclose()
