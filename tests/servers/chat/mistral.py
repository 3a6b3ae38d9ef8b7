"""A local server for Mistral's chat API that fails on request; see server.py."""

import json
from collections.abc import Mapping
from typing import Any

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.replies import Content
from tests.servers.chat.server import ChatServer


class MistralServer(ChatServer):
    """Mistral's `/v1/chat/completions`; give its `url` as MISTRAL_BASE_URL."""

    has_usage_apart = False
    """Send the usage of a stream in a chunk of its own, without choices, as OpenAI does."""

    def whole(self, completion: Completion) -> Mapping[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": completion.content, "tool_calls": None},
            "finish_reason": completion.finish,
        }
        return {
            **completion.openai_fields("chat.completion"),
            "choices": [choice],
            "usage": completion.openai_usage,
        }

    def stream(self, completion: Completion) -> Stream:
        def chunk(content: Content, finish: str | None = None, **more: Any) -> bytes:
            delta = {"content": content, **more}
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            usage = (
                {"usage": completion.openai_usage} if finish and not self.has_usage_apart else {}
            )
            shared = completion.openai_fields("chat.completion.chunk")
            return self.event(json.dumps({**shared, "choices": [choice], **usage}))

        closing = [chunk("", finish=completion.finish), self.event("[DONE]")]
        if self.has_usage_apart:
            usage = completion.openai_fields("chat.completion.chunk")
            usage |= {"choices": [], "usage": completion.openai_usage}
            closing.insert(1, self.event(json.dumps(usage, separators=(",", ":"))))
        return Stream(
            [chunk("", role="assistant")], [chunk(piece) for piece in completion.pieces], closing
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
