"""An answer of a local chat server, before and after formatting for an API."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.chat.replies import Content, Request


@dataclass(frozen=True)
class Completion:
    """A model's answer before formatting for an API."""

    request: Request
    pieces: Sequence[Content]
    finish: str | None

    @property
    def content(self) -> Content:
        """The whole answer."""
        if any(isinstance(piece, list) for piece in self.pieces):
            return [block for piece in self.pieces for block in piece if isinstance(block, dict)]
        return "".join(str(piece) for piece in self.pieces)

    @property
    def model(self) -> str:
        """The requested model."""
        return str(self.request.body["model"])

    @property
    def input_tokens(self) -> int:
        """The number of words of the request."""
        contents = [message["content"] for message in self.request.body["messages"]]
        return sum(
            len(str(each).split()) for each in (*contents, self.request.body.get("system", ""))
        )

    @property
    def output_tokens(self) -> int:
        """The number of words of the answer."""
        return len(str(self.content).split())

    @property
    def openai_usage(self) -> dict[str, int]:
        """The usage in OpenAI's format, which is Mistral's too."""
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
        }

    def openai_fields(self, kind: str) -> dict[str, Any]:
        """The fields that OpenAI's and Mistral's completions and chunks share."""
        return {
            "id": "chatcmpl-local",
            "object": kind,
            "created": int(time.time()),
            "model": self.model,
        }


@dataclass(frozen=True)
class Stream:
    """The events of an answer, ready to send."""

    opening: Sequence[bytes]
    pieces: Sequence[bytes]
    closing: Sequence[bytes]
