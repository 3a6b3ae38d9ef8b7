"""A local server for Ollama's chat API that fails on request; see server.py."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.replies import SECRET, Content, Request
from tests.servers.chat.server import ChatServer


class OllamaServer(ChatServer):
    """Ollama's `/api/chat`: by default a stream, with one JSON object per line."""

    base = ""
    endpoint = "/api/chat"
    stream_type = "application/x-ndjson"

    def streams(self, request: Request) -> bool:
        return bool(request.body.get("stream", True))

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        return _part(completion, completion.content) | _end(completion)

    def stream(self, completion: Completion) -> Stream:
        def line(part: Mapping[str, Any]) -> bytes:
            return self.event(json.dumps(part))

        return Stream(
            [],
            [line(_part(completion, piece)) for piece in completion.pieces],
            [line(_part(completion, "") | _end(completion))],
        )

    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        return {"error": detail}

    def too_long(self) -> Mapping[str, Any]:
        # Only if truncation is off: otherwise Ollama silently shortens the request.
        return {"error": f"the input length exceeds the context length. {SECRET}"}

    def event(self, data: str) -> bytes:
        return f"{data}\n".encode()


def _part(completion: Completion, content: Content) -> dict[str, Any]:
    return {
        "model": completion.model,
        "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "message": {"role": "assistant", "content": content},
        "done": False,
    }


def _end(completion: Completion) -> dict[str, Any]:
    """The additional fields of the last line; durations are in nanoseconds."""
    if completion.finish is None:
        return {}
    return {
        "done": True,
        "done_reason": completion.finish,
        "total_duration": 3_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": completion.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": completion.output_tokens,
        "eval_duration": 1_000_000,
    }
