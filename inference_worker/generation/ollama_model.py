"""Waits for the Ollama server of OLLAMA_URL, and pulls OLLAMA_MODEL if the server lacks it."""

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import httpx

from inference_worker.generation.language_model import LanguageModel
from utils.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from ollama import ProgressResponse

log = logging.getLogger(__name__)

NOT_PULLED = "the language model is not downloaded yet"
POLL_SECONDS = 10.0
CHECK_SECONDS = 10.0
PULL_TIMEOUT = httpx.Timeout(300, connect=CHECK_SECONDS)
"""Ollama reports nothing while it verifies a checksum, which takes a while on a slow disk."""
_LOGGED_PERCENT = 5
_MIN_LAYER_BYTES = 50_000_000
"""The progress of smaller parts of a model, such as its licence, is not logged."""


def ollama_model_from(llm: LanguageModel | None, settings: Settings) -> "OllamaModel | None":
    """What makes the language model available if it is that of OLLAMA_URL, else None."""
    return OllamaModel(llm, settings) if llm and settings.ollama_url else None


class OllamaModel:
    """Makes a language model available as soon as its Ollama server answers and has the model.

    Until the server has answered, the language model is not offered: answers are quoted as without
    one. From then on they are degraded while it cannot be used.

    Args:
        llm: The language model that was created from the settings.
        settings: Have an OLLAMA_URL.
        poll_seconds: Between two attempts.
    """

    def __init__(
        self, llm: LanguageModel, settings: Settings, *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        from ollama import AsyncClient

        self._llm = llm
        self._name = settings.ollama_model
        self._url = settings.ollama_url
        self._poll_seconds = poll_seconds
        self._client = AsyncClient(host=self._url, timeout=PULL_TIMEOUT)
        llm.is_offered = False
        llm.unavailable_reason = NOT_PULLED

    async def prepare(self) -> None:
        """Wait until the language model can be used; an interrupted pull is resumed."""
        logged: str | None = None
        async with self._client:
            while self._llm.unavailable_reason:
                try:
                    if not await self._has_model():
                        await self._pull()
                    self._llm.unavailable_reason = ""
                    log.info("Answers are written by %s", self._llm.name)
                except Exception as error:  # noqa: BLE001 - whatever failed, try again
                    # Before the server has answered, there may be none: that is no problem.
                    if self._llm.is_offered and repr(error) != logged:
                        log.warning("Cannot use %s at %s yet: %r", self._name, self._url, error)
                        logged = repr(error)
                    await asyncio.sleep(self._poll_seconds)

    async def check(self) -> None:
        """Make the language model available if the server has it now."""
        async with self._client:
            try:
                if await self._has_model():
                    self._llm.unavailable_reason = ""
            except Exception as error:  # noqa: BLE001 - the answer is quoted
                log.info("No Ollama server at %s: %s", self._url, error)

    async def _has_model(self) -> bool:
        async with asyncio.timeout(CHECK_SECONDS):
            listed = (await self._client.list()).models
        self._llm.is_offered = True
        has_tag = ":" in self._name.rpartition("/")[2]
        name = self._name if has_tag else f"{self._name}:latest"
        return any((each.model or "").lower() == name.lower() for each in listed)

    async def _pull(self) -> None:
        """Have the server download the model, and log the progress.

        Raises:
            Exception: the pull failed.
        """
        log.info("Pulling %s to %s", self._name, self._url)
        steps: dict[str | None, int] = {}
        status: str | None = None
        progress: AsyncGenerator[ProgressResponse, None]
        progress = await self._client.pull(self._name, stream=True)  # type: ignore[assignment]
        async with aclosing(progress) as parts:
            async for part in parts:
                status, total = part.status, part.total or 0
                percent = 100 * (part.completed or 0) // max(total, 1)
                step = percent // _LOGGED_PERCENT
                if total >= _MIN_LAYER_BYTES and step > steps.get(part.digest, -1):
                    steps[part.digest] = step
                    log.info("Pulling %s: %d%% of %.1f GB", self._name, percent, total / 1e9)
        if status != "success":
            raise ConnectionError("the download broke off")
        log.info("Pulled %s", self._name)
