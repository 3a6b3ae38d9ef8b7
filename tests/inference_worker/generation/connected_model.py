"""The language model of each provider, connected to a local server that speaks its protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr

from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.providers import language_model_from
from tests.servers.chat.server import ChatServer
from utils.settings import Settings

KEY = "test-key-7f3a"
QUESTION: list[BaseMessage] = [SystemMessage("Be short."), HumanMessage("What is a batch?")]


@asynccontextmanager
async def connected_model(
    provider: str,
    server: ChatServer,
    *,
    seconds: float = 10.0,
    concurrency: int = 256,
    breaker_failures: int = 5,
) -> AsyncIterator[LanguageModel]:
    mistral = provider == "mistralai"
    made = language_model_from(
        Settings(
            _env_file=None,
            inference_model="mistral-test" if mistral else f"{provider}:test",
            mistral_api_key=SecretStr(KEY) if mistral else None,
            mistral_base_url=server.url if mistral else "https://unused.example/v1",
            inference_base_url=None if mistral else server.url,
            inference_api_key=None if mistral else SecretStr(KEY),
            inference_timeout=seconds,
            inference_concurrency=concurrency,
            breaker_failures=breaker_failures,
            breaker_seconds=0.3,
        )
    )
    assert made is not None
    try:
        yield made
    finally:
        await made.aclose()
        if provider == "anthropic":
            from langchain_anthropic._client_utils import _get_default_async_httpx_client as shared

            # Clients are cached by address, even closed ones; the next server may get this port.
            shared.cache_clear()
