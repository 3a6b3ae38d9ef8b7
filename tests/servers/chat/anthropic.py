"""A local server for Anthropic's chat API that fails on request; see server.py."""

import json
from collections.abc import Mapping
from typing import Any

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.replies import SECRET
from tests.servers.chat.server import ChatServer

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
"""Anthropic's names of OpenAI's finish reasons."""

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicServer(ChatServer):
    """Anthropic's `/v1/messages`; `url` has no /v1, since its client adds it."""

    base = ""
    endpoint = "/v1/messages"

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        content = [{"type": "text", "text": completion.content}]
        return _message(completion, content, _stop_reason(completion), _usage(completion))

    def stream(self, completion: Completion) -> Stream:
        # The counts so far; the last one is final.
        first = _usage(completion) | {"output_tokens": 1}
        stop = {"stop_reason": _stop_reason(completion), "stop_sequence": None}
        block = {"type": "text", "text": ""}
        return Stream(
            [
                _event("message_start", message=_message(completion, [], None, first)),
                _event("content_block_start", index=0, content_block=block),
                _event("ping"),
            ],
            [
                _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
                for piece in completion.pieces
            ],
            [
                _event("content_block_stop", index=0),
                _event("message_delta", delta=stop, usage=_usage(completion)),
                _event("message_stop"),
            ],
        )

    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        kind = ERRORS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": detail}}

    def too_long(self) -> Mapping[str, Any]:
        return self.error(400, f"prompt is too long: 208310 tokens > 200000 maximum. {SECRET}")

    def event(self, data: str) -> bytes:
        return f"event: content_block_delta\ndata: {data}\n\n".encode()

    def error_event(self) -> bytes:
        return f"event: error\ndata: {json.dumps(self.error(529, SECRET))}\n\n".encode()


def _message(
    completion: Completion,
    content: list[dict[str, Any]],
    stop_reason: str | None,
    usage: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "id": "msg_local",
        "type": "message",
        "role": "assistant",
        "model": completion.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(completion: Completion) -> dict[str, int]:
    return {"input_tokens": completion.input_tokens, "output_tokens": completion.output_tokens}


def _stop_reason(completion: Completion) -> str | None:
    if completion.finish is None:
        return None
    return STOP_REASONS.get(completion.finish, completion.finish)


def _event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
