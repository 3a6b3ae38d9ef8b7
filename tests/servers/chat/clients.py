"""LangChain's chat clients, configured as in the service, for the local chat servers."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from tests.servers.chat.anthropic import AnthropicServer
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.openai import OpenAIServer
from tests.servers.chat.server import ChatServer

QUESTION: list[BaseMessage] = [SystemMessage("Be short."), HumanMessage("Say it again.")]
"""Five words, that is five tokens to the local servers."""


_number = itertools.count(1)


@dataclass(frozen=True)
class Provider:
    """A provider by its LangChain name, its server, and its client's vocabulary."""

    name: str
    package: str
    server: type[ChatServer]
    options: Callable[[int], Mapping[str, Any]]
    """Keyword arguments for the factory, given the timeout in seconds."""
    close: Callable[[Any], Awaitable[None]]
    finish: str = "finish_reason"
    finishes: Mapping[str, str] = field(default_factory=lambda: {"stop": "stop"})

    def __str__(self) -> str:
        return self.name


def _openai(seconds: int) -> dict[str, Any]:
    # OpenAI's client caches HTTP clients per address, even closed ones, and a later server may get
    # an earlier one's port.
    http = httpx.AsyncClient()
    return _one_try(seconds) | {"stream_usage": True, "http_async_client": http}


def _anthropic(seconds: int) -> dict[str, Any]:
    # Also cached, and no other can be passed; clients with different timeouts are not shared.
    return _one_try(seconds) | {"timeout": seconds + next(_number) / 1e6}


def _one_try(seconds: int) -> dict[str, Any]:
    return {"api_key": "test-key", "max_retries": 0, "timeout": seconds}


# Two of the clients store what must be closed in private attributes.
MISTRAL = Provider(
    "mistralai",
    "langchain_mistralai",
    MistralServer,
    _one_try,
    lambda chat: chat.async_client.aclose(),
)
OPENAI = Provider(
    "openai", "langchain_openai", OpenAIServer, _openai, lambda chat: chat.root_async_client.close()
)
OLLAMA = Provider(
    "ollama",
    "langchain_ollama",
    OllamaServer,
    lambda seconds: {"client_kwargs": {"timeout": seconds}},
    lambda chat: chat._async_client.close(),  # noqa: SLF001
    finish="done_reason",
)
ANTHROPIC = Provider(
    "anthropic",
    "langchain_anthropic",
    AnthropicServer,
    _anthropic,
    lambda chat: chat._async_client.close(),  # noqa: SLF001
    finish="stop_reason",
    finishes={"stop": "end_turn", "length": "max_tokens"},
)
PROVIDERS = [MISTRAL, OPENAI, OLLAMA, ANTHROPIC]


@asynccontextmanager
async def client(
    provider: Provider, server: ChatServer, *, seconds: int = 10
) -> AsyncIterator[BaseChatModel]:
    """A client of the server that does not retry; closes its connections at the end."""
    pytest.importorskip(provider.package)
    chat: BaseChatModel = init_chat_model(
        "test-model", model_provider=provider.name, base_url=server.url, **provider.options(seconds)
    )
    try:
        yield chat
    finally:
        await provider.close(chat)


@dataclass
class ClientResult:
    """A client's view of an answer, until it ended or failed."""

    pieces: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


async def collect_stream(chat: BaseChatModel) -> ClientResult:
    """Stream an answer and collect its chunks."""
    result = ClientResult()
    try:
        async for chunk in chat.astream(QUESTION):
            if chunk.text:
                result.pieces.append(str(chunk.text))
            result.metadata |= chunk.response_metadata
            result.usage |= chunk.usage_metadata or {}
    except Exception as error:  # noqa: BLE001 - the tests compare what each client raises
        result.error = error
    return result


async def ask(chat: BaseChatModel) -> ClientResult:
    """Request an answer without streaming."""
    try:
        message = await chat.ainvoke(QUESTION)
    except Exception as error:  # noqa: BLE001
        return ClientResult(error=error)
    return ClientResult(
        [str(message.text)], message.response_metadata, dict(message.usage_metadata or {})
    )


def status_of(error: Exception | None) -> int | None:
    """The HTTP status of an exception, if it has one."""
    status = getattr(error, "status_code", None)
    return status or getattr(getattr(error, "response", None), "status_code", None)
