"""Mistral's chat model, over an HTTP client of our own.

langchain-mistralai retries neither 429 nor 5xx, waits at least 4 s before it tries a broken
connection again, and puts the upstream body in its exceptions. So its own retrying is off, and a
refusal is told by its status before its body is read into an exception.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import httpx

from inference_worker.generation.language_model import ATTEMPT_SHARE
from inference_worker.generation.provider_errors import status_error
from utils.errors import SettingsError
from utils.settings import Settings

if TYPE_CHECKING:
    from langchain_mistralai import ChatMistralAI

CONNECT_SECONDS = 5.0
MAX_IDLE = 32
"""Connections that wait for the next call."""


def mistral_chat(
    settings: Settings, model: str
) -> "tuple[ChatMistralAI, Callable[[], Awaitable[None]]]":
    """Make the chat model, and what closes its connections.

    Raises:
        SettingsError: the key can be no key.
    """
    from langchain_mistralai import ChatMistralAI

    key = settings.mistral_api_key.get_secret_value() if settings.mistral_api_key else ""
    if not (key.isascii() and key.isprintable()):
        raise SettingsError("MISTRAL_API_KEY: holds characters that no key has; copy it again.")
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
    """Connect as ChatMistralAI does, with as many connections as calls are allowed at once."""
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
            max_keepalive_connections=MAX_IDLE,
        ),
        event_hooks={"response": [_raise_for_status, _read_to_the_end]},
    )


async def _raise_for_status(response: httpx.Response) -> None:
    """Refuse anything but success, so that no exception of the client can quote its body."""
    if response.is_success:
        return
    # Of a plain refusal alone the reason is looked for in the body, which may be a proxy's page.
    told = (await response.aread())[:4096] if response.status_code in {400, 422} else b""
    retry_after = response.headers.get("Retry-After", "")
    raise status_error(response.status_code, retry_after, told.decode(errors="replace"))


async def _read_to_the_end(response: httpx.Response) -> None:
    """Have the connection fit for the next call."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _WholeStream(response.stream)


class _WholeStream(httpx.AsyncByteStream):
    """A body whose last bytes are read before it is closed.

    ChatMistralAI stops at `[DONE]`, a few bytes before the body's end, and a connection whose body
    was not read to its end cannot be used again: each answer would pay for a new one.
    """

    _LAST = b"[DONE]"
    _PATIENCE = 0.5
    """Seconds."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream
        self._parts = aiter(stream)
        self._tail = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            self._tail = (self._tail + part)[-2 * len(self._LAST) :]
            yield part

    async def aclose(self) -> None:
        """Read the rest where the answer is whole; a broken-off one is cut at once."""
        if self._LAST in self._tail:
            with contextlib.suppress(httpx.TransportError, TimeoutError):
                async with asyncio.timeout(self._PATIENCE):
                    async for _ in self._parts:
                        pass
        await self._stream.aclose()
