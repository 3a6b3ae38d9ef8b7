"""Runs the service in a thread and serves it over real HTTP."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, Self

import httpx
import pytest
from fastapi import FastAPI
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage
from pydantic import SecretStr

from database.index.fingerprint import Fingerprint
from database.index.store import open_store
from database.reading.reader import Reader
from inference_worker.app import create_app
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.http.server.limited_server import limited_server
from tests.files.pages import WordEmbeddings
from tests.servers.chat.server import ChatServer
from utils.settings import Settings

QUESTION = "How is the storage volume of an endpoint encrypted with KmsKeyId?"
FOREIGN = "Who won the Eurovision song contest in 1998?"
REFUSAL = "Nothing in the AWS documentation of Amazon SageMaker seems to answer this."


class Service:
    """An app served by uvicorn on a free port, and a client of it, `http`."""

    http: httpx.Client

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._server = limited_server(app, app.state.settings)
        listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started or not self._thread.is_alive(), within=30)
        assert self._server.started, "the service did not start"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(30)

    def wait_until_ready(self) -> None:
        until(lambda: self.http.get("/readyz").status_code == 200, within=30)


class RawConnection:
    """A raw connection to a client's service, for malformed and slow requests."""

    def __init__(self, client: httpx.Client) -> None:
        address = (client.base_url.host, client.base_url.port or 80)
        self._socket = socket.create_connection(address, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, *lines: str, encoding: str = "utf-8") -> None:
        self._socket.sendall("\r\n".join(lines).encode(encoding))

    def status(self) -> int:
        return int(self._socket.recv(4096).split(b" ")[1])


def load_words(fingerprint: Fingerprint) -> Embeddings:
    return WordEmbeddings()


def app_over(
    database: str,
    load: Callable[[Fingerprint], Embeddings] = load_words,
    *,
    llm: LanguageModel | None = None,
    splitter: Any = None,
    isolated: bool = False,
    **settings: Any,
) -> FastAPI:
    """The service's app over an index that was built with word embeddings.

    Unlike the product's, its store is in this process unless it is `isolated`: a process takes a
    second to start.
    """
    chosen = Settings(_env_file=None, database=database, **settings)
    reader = Reader(
        lambda: open_store(database, isolated=isolated),
        load,
        database,
        min_confidence=chosen.min_confidence,
    )
    return create_app(chosen, reader=reader, llm=llm, splitter=splitter)


def serve(*arguments: Any, **options: Any) -> Service:
    """Serve `app_over` with these arguments."""
    return Service(app_over(*arguments, **options))


def with_mistral(mistral: ChatServer, **settings: Any) -> dict[str, Any]:
    """Settings that make the local server a service's language model."""
    key = SecretStr("test-key")
    return {"mistral_api_key": key, "mistral_base_url": mistral.url, **settings}


class CrashingModel(LanguageModel):
    """Raises an unexpected error after the first token."""

    def __init__(self) -> None:
        no_chat: Any = None
        super().__init__(no_chat, Settings(_env_file=None), close=lambda: asyncio.sleep(0))

    async def stream(
        self, messages: Sequence[BaseMessage], deadline: float | None = None
    ) -> AsyncGenerator[str | Generation, None]:
        yield "A word "
        raise RuntimeError("a secret internal detail")


def until(what: Callable[[], bool], within: float = 20.0) -> None:
    """Poll until the condition is true."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.02)


async def disconnect_during_generation(
    request: Coroutine[Any, Any, Any], model: ChatServer
) -> None:
    """Send a request and close its connection once the model server has received the LLM call."""
    sending = asyncio.create_task(request)
    while not model.in_flight:  # noqa: ASYNC110 - the server is in another thread
        await asyncio.sleep(0.005)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
