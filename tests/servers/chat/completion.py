"""An answer of a local chat server, before and after an API has put it into its form."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.servers.chat.replies import Content, Request


@dataclass(frozen=True)
class Completion:
    """An answer as the model gives it, before an API has put it into its form."""

    request: Request
    pieces: Sequence[Content]
    finish: str | None

    @property
    def content(self) -> Content:
        """All that is said."""
        if any(isinstance(piece, list) for piece in self.pieces):
            return [block for piece in self.pieces for block in piece if isinstance(block, dict)]
        return "".join(str(piece) for piece in self.pieces)

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request.body["model"])

    @property
    def input_tokens(self) -> int:
        """The words of the request."""
        said = [message["content"] for message in self.request.body["messages"]]
        return sum(len(str(each).split()) for each in (*said, self.request.body.get("system", "")))

    @property
    def output_tokens(self) -> int:
        """The words of the answer."""
        return len(str(self.content).split())


@dataclass(frozen=True)
class Stream:
    """The events of an answer, ready to send."""

    opening: Sequence[bytes]
    pieces: Sequence[bytes]
    closing: Sequence[bytes]
