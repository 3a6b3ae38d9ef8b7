"""An answer of a local chat server, before and after formatting for an API."""

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Stream:
    """The events of an answer, ready to send."""

    opening: Sequence[bytes]
    pieces: Sequence[bytes]
    closing: Sequence[bytes]
