"""A local server for Mistral's chat API that fails on request; see server.py."""

import json
import time
from collections.abc import Mapping
from typing import Any

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.replies import (
    Content,
    Reply,
    Request,
    answer,
    body,
    broken_after,
    cut,
    empty_stream,
    error_after,
    failed,
    garbled_after,
    hang_up,
    hangs_after,
    rate_limited,
    rate_limited_until,
    refused_key,
    silence,
    too_long,
    unfinished_after,
)
from tests.servers.chat.server import ChatServer

__all__ = [
    "MistralServer",
    "Reply",
    "Request",
    "answer",
    "body",
    "broken_after",
    "cut",
    "empty_stream",
    "error_after",
    "failed",
    "garbled_after",
    "hang_up",
    "hangs_after",
    "rate_limited",
    "rate_limited_until",
    "refused_key",
    "silence",
    "too_long",
    "unfinished_after",
]


class MistralServer(ChatServer):
    """Mistral's `/v1/chat/completions`; give its `url` as MISTRAL_BASE_URL."""

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": completion.content, "tool_calls": None},
            "finish_reason": completion.finish,
        }
        return {
            **_shared(completion, "chat.completion"),
            "choices": [choice],
            "usage": _usage(completion),
        }

    def stream(self, completion: Completion) -> Stream:
        def chunk(content: Content, finish: str | None = None, **more: Any) -> bytes:
            delta = {"content": content, **more}
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            usage = {"usage": _usage(completion)} if finish else {}
            shared = _shared(completion, "chat.completion.chunk")
            return self.event(json.dumps({**shared, "choices": [choice], **usage}))

        return Stream(
            [chunk("", role="assistant")],
            [chunk(piece) for piece in completion.pieces],
            [chunk("", finish=completion.finish), self.event("[DONE]")],
        )

    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        return {
            "object": "error",
            "message": detail,
            "type": "rate_limited" if status == 429 else "invalid_request_error",
            "param": None,
            "code": str(status),
        }

    def too_long(self) -> Mapping[str, Any]:
        detail = "Prompt contains 40000 tokens, too large for model with 32768 maximum context"
        return self.error(400, f"{detail} length. SECRET")


def _shared(completion: Completion, kind: str) -> dict[str, Any]:
    return {
        "id": "cmpl-local",
        "object": kind,
        "created": int(time.time()),
        "model": completion.model,
    }


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": completion.input_tokens,
        "completion_tokens": completion.output_tokens,
        "total_tokens": completion.input_tokens + completion.output_tokens,
    }
