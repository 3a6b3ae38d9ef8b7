"""A local server for OpenAI's chat API that fails on request; see server.py."""

import json
from collections.abc import Mapping
from typing import Any

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.server import ChatServer


class OpenAIServer(ChatServer):
    """OpenAI's `/v1/chat/completions`, as many other servers implement it."""

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": completion.content, "refusal": None},
            "logprobs": None,
            "finish_reason": completion.finish,
        }
        return {
            **completion.openai_fields("chat.completion"),
            "choices": [choice],
            "usage": completion.openai_usage,
        }

    def stream(self, completion: Completion) -> Stream:
        options = completion.request.body.get("stream_options") or {}
        counted = bool(options.get("include_usage"))
        # If requested, the usage is in an additional chunk, and null in the others.
        shared = completion.openai_fields("chat.completion.chunk") | (
            {"usage": None} if counted else {}
        )

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return self.event(json.dumps({**shared, "choices": [choice]}))

        closing = [chunk({}, completion.finish)]
        if counted:
            usage = {**shared, "choices": [], "usage": completion.openai_usage}
            closing.append(self.event(json.dumps(usage)))
        return Stream(
            [chunk({"role": "assistant", "content": "", "refusal": None})],
            [chunk({"content": piece}) for piece in completion.pieces],
            [*closing, self.event("[DONE]")],
        )

    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        return {
            "error": {
                "message": detail,
                "type": "server_error" if status >= 500 else "invalid_request_error",
                "param": None,
                "code": code.get(status),
            }
        }

    def too_long(self) -> Mapping[str, Any]:
        return {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. SECRET",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
        }
