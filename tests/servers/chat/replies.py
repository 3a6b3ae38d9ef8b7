"""Requests to the local chat and embedding servers, and the replies that can be scripted.

The same replies serve every API of `server.py`; each formats them in its own way.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal

SECRET = "SECRET upstream detail"
"""The detail of every failure; the service's clients must not see it."""

Content = str | list[dict[str, str]]
"""A text, or content blocks if the API has them."""


@dataclass(frozen=True)
class Request:
    """A received call; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    time: float
    """Seconds on the monotonic clock."""

    @property
    def last_message(self) -> Content:
        """The content of the last message."""
        content: Content = self.body["messages"][-1]["content"]
        return content

    @property
    def texts(self) -> list[str]:
        """The texts to embed."""
        given = self.body["input"]
        return [given] if isinstance(given, str) else given


@dataclass(frozen=True)
class Reply:
    """The reply to one call: an answer of `text` (by default an echo), a failure or any body."""

    status: int = 200
    text: Content | None = None
    pieces: Sequence[Content] | None = None
    """The pieces of a stream; by default the words of the text."""
    between: float = 0.0
    """Seconds between pieces; 0 sends the stream at once."""
    finish: str | None = "stop"
    """The finish reason, in OpenAI's vocabulary."""
    body: bytes | None = None
    too_long: bool = False
    """True to refuse the request for its length."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    then: Literal["send", "leave", "nothing", "cut", "reset", "hang", "stop", "garble", "error"] = (
        "send"
    )
    after: int | None = None
    """The number of pieces before `then`; None is half of the answer, and for "hang" no byte."""
    garbage: str = ""

    @property
    def breaks_off(self) -> bool:
        """True if the body is incomplete."""
        return self.then in {"cut", "reset", "hang"}

    def written(self, request: Request) -> list[Content]:
        """The pieces of the answer to a request."""
        if self.pieces is not None:
            return list(self.pieces)
        text = request.last_message if self.text is None else self.text
        # Like model tokens: a word includes the space before it.
        return re.findall(r"\s*\S+|\s+", text) if isinstance(text, str) else [[b] for b in text]


Script = Reply | Callable[[Request], Reply]
"""A reply, or a function that computes one from the request."""


def answer(
    text: Content | None = None,
    *,
    delay: float = 0.0,
    pieces: Sequence[Content] | None = None,
    between: float = 0.0,
    finish: str | None = "stop",
) -> Reply:
    """Answer with a text, content blocks or pieces; by default echo the last message."""
    return Reply(text=text, delay=delay, pieces=pieces, between=between, finish=finish)


def rate_limited(retry_after: str | None = None) -> Reply:
    """429, with Retry-After in seconds or as a date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return failed(429, headers=headers)


def rate_limited_until(seconds: float) -> Reply:
    """429, with Retry-After as an HTTP date the given seconds ahead."""
    return rate_limited(formatdate(time.time() + seconds, usegmt=True))


def failed(status: int = 500, *, headers: Mapping[str, str] | None = None) -> Reply:
    """Fail with a status, and a body that contains SECRET."""
    return Reply(status=status, headers=headers or {})


def refused_key() -> Reply:
    """401, as for an unknown key."""
    return failed(401)


def too_long() -> Reply:
    """400, as for a request longer than the model's context."""
    return Reply(status=400, too_long=True)


def body(content: bytes) -> Reply:
    """200 with any bytes, streamed or not: garbage, or JSON of another shape."""
    return Reply(body=content)


def cut() -> Reply:
    """Close the connection in the middle of the body."""
    return Reply(then="cut")


def silence() -> Reply:
    """Never answer."""
    return Reply(then="hang")


def hang_up() -> Reply:
    """Close the connection without a response."""
    return Reply(then="leave")


# The following fail after n pieces of an answer. An unstreamed call has no pieces: it fails
# halfway through the body.


def broken_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Reset the connection."""
    return Reply(text=text, between=between, then="reset", after=n)


def hangs_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Stop sending but keep the connection open."""
    return Reply(text=text, between=between, then="hang", after=n)


def unfinished_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """End the stream properly, but without a finish reason."""
    return Reply(text=text, between=between, then="stop", after=n)


def garbled_after(
    n: int,
    text: Content | None = None,
    *,
    garbage: str = '{"choices": [{"delta": ',
    between: float = 0.0,
) -> Reply:
    """Send garbage instead of an event's JSON, then the rest; unstreamed, only the garbage."""
    return Reply(text=text, between=between, then="garble", after=n, garbage=garbage)


def error_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Send an error event instead of the next piece, and end; unstreamed, 500."""
    return Reply(text=text, between=between, then="error", after=n)


def empty_stream() -> Reply:
    """200 without any event; unstreamed, an empty body."""
    return Reply(then="nothing")
