"""Runs the service in a thread and serves it over real HTTP."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import pytest
import uvicorn
from fastapi import FastAPI

from tests.servers.chat.server import ChatServer


class Service:
    """An app served by uvicorn on a free port."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    @property
    def url(self) -> str:
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._server.started:
            assert self._thread.is_alive(), "the service did not start"
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(30)


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
