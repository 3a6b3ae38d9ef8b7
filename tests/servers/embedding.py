"""A local server with the embedding APIs of Mistral, OpenAI and Ollama; it fails on request.

    with EmbeddingServer() as server:
        server.script(rate_limited("1"), failed(500))
        ...
        assert len(server.requests) == 3

Calls take the scripted replies in order; once these are used up, vectors made of the texts' words.
Mistral and OpenAI share a path, `/v1/embeddings`; Ollama's is `/api/embed`.
"""

import json
from dataclasses import replace
from typing import Any

from tests.files.pages import WordEmbeddings
from tests.servers.chat.replies import SECRET, Reply, Request, failed
from tests.servers.chat.server import ScriptedServer


class EmbeddingServer(ScriptedServer):
    """The server, a context manager; `url` has no path."""

    def __init__(self, key: str = "") -> None:
        super().__init__()
        self.key = key
        """The only valid key; "" accepts any or none."""
        self.dimension = 64

    def address(self, provider: str) -> str:
        """The base URL for a provider's client."""
        return self.url if provider == "ollama" else f"{self.url}/v1"

    @property
    def texts(self) -> list[str]:
        """All texts received, in order."""
        return [text for request in self.requests for text in request.texts]

    def adapt(self, request: Request, reply: Reply) -> Reply:
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return failed(401)
        if not all(isinstance(text, str) for text in request.texts):
            return failed(400)  # as a server without support for OpenAI's token ids
        if reply.body is not None or reply.status != 200:
            return reply
        vectors = [
            vector[: self.dimension] for vector in WordEmbeddings().embed_documents(request.texts)
        ]
        content: dict[str, Any] = {"model": request.body["model"]}
        if request.path == "/v1/embeddings":
            data = [
                {"object": "embedding", "index": place, "embedding": vector}
                for place, vector in enumerate(vectors)
            ]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            content |= {"object": "list", "data": data, "usage": usage}
        elif request.path == "/api/embed":
            content |= {"embeddings": vectors}
        else:
            return failed(404)
        return replace(reply, body=json.dumps(content).encode())

    def body_of(self, request: Request, reply: Reply) -> bytes:
        return SECRET.encode() if reply.body is None else reply.body
