"""A local server with the embedding APIs of Mistral, OpenAI and Ollama; it fails on request.

    with EmbeddingServer() as server:
        server.script(rate_limited("1"), failed(500))
        ...
        assert len(server.requests) == 3

Calls take the scripted replies in order; once these are used up, vectors made of the texts' words.
Mistral and OpenAI share a path, `/v1/embeddings`; Ollama's is `/api/embed`.
"""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.files.pages import WordEmbeddings
from tests.servers.chat.replies import SECRET, Reply, failed


@dataclass(frozen=True)
class Request:
    """A received call."""

    path: str
    key: str
    """The header's value, `Bearer ...`, or ""."""
    body: dict[str, Any]
    time: float
    """Seconds on the monotonic clock."""

    @property
    def texts(self) -> list[str]:
        """The texts to embed."""
        given = self.body["input"]
        return [given] if isinstance(given, str) else given


class _Http(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Suppress errors: some tests are about clients that time out."""


class EmbeddingServer:
    """The server, a context manager; `url` has no path."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        """The only valid key; "" accepts any or none."""
        self.requests: list[Request] = []
        self.default = Reply()
        self.dimension = 64
        self._script: deque[Reply] = deque()
        self._stopped = threading.Event()
        self._http = _Http(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=lambda: self._http.serve_forever(0.02), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()

    def address(self, provider: str) -> str:
        """The base URL for a provider's client."""
        return self.url if provider == "ollama" else f"{self.url}/v1"

    def script(self, *replies: Reply) -> None:
        """Queue the replies to the next calls."""
        self._script.extend(replies)

    @property
    def texts(self) -> list[str]:
        """All texts received, in order."""
        return [text for request in self.requests for text in request.texts]

    def _reply(self, request: Request) -> Reply:
        reply = self._script.popleft() if self._script else self.default
        if self.key and request.key != f"Bearer {self.key}":
            return failed(401)
        if not all(isinstance(text, str) for text in request.texts):
            return failed(400)  # as a server without support for OpenAI's token ids
        if reply.body is not None or reply.status != HTTPStatus.OK:
            return reply
        vectors = [
            vector[: self.dimension] for vector in WordEmbeddings().embed_documents(request.texts)
        ]
        model = request.body["model"]
        if request.path == "/v1/embeddings":
            data = [
                {"object": "embedding", "index": place, "embedding": vector}
                for place, vector in enumerate(vectors)
            ]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            content = {"object": "list", "data": data, "model": model, "usage": usage}
        elif request.path == "/api/embed":
            content = {"model": model, "embeddings": vectors}
        else:
            return failed(404)
        return Reply(body=json.dumps(content).encode(), delay=reply.delay, then=reply.then)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers.get("Authorization", "")
                request = Request(self.path, key, json.loads(content), time.monotonic())
                server.requests.append(request)
                reply = server._reply(request)  # this handler belongs to the server
                server._stopped.wait(60 if reply.then == "hang" else reply.delay)
                self._write(reply)

            def _write(self, reply: Reply) -> None:
                body = SECRET.encode() if reply.body is None else reply.body
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.close_connection = reply.then != "send"
                try:
                    self.end_headers()
                    self.wfile.write(body[: len(body) // 2] if reply.then == "cut" else body)
                except ConnectionError:
                    self.close_connection = True  # the client has timed out

            def log_message(self, *_: object) -> None:
                return

        return Handler
