"""What a local chat server is asked, and what it can be told to reply.

The same replies serve every API of `server.py`: each writes them in its own form.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal

SECRET = "SECRET upstream detail"
"""What every failure says of itself; no caller of ours may see it."""

Content = str | list[dict[str, str]]
"""A text, or content blocks where the API has them."""


@dataclass(frozen=True)
class Request:
    """A call as it arrived; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    time: float
    """Seconds on the monotonic clock."""

    @property
    def last_message(self) -> Content:
        """What was said last."""
        content: Content = self.body["messages"][-1]["content"]
        return content


@dataclass(frozen=True)
class Reply:
    """What one call gets: an answer of `text` (an echo, without one), a failure or any body."""

    status: int = 200
    text: Content | None = None
    pieces: Sequence[Content] | None = None
    """What a stream carries one by one; the words of the text, where they are not given."""
    between: float = 0.0
    """Seconds from one piece to the next. Without, a stream is sent at one go."""
    finish: str | None = "stop"
    """Why the model stopped, in OpenAI's words."""
    body: bytes | None = None
    too_long: bool = False
    """Whether the request is refused for its length."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the first byte."""
    then: Literal["send", "leave", "nothing", "cut", "reset", "hang", "stop", "garble", "error"] = (
        "send"
    )
    after: int | None = None
    """How many pieces come before that; None is half of the answer, and for "hang" no byte."""
    garbage: str = ""

    @property
    def breaks_off(self) -> bool:
        """Whether the body stays incomplete."""
        return self.then in {"cut", "reset", "hang"}

    def written(self, request: Request) -> list[Content]:
        """Give the pieces of the answer to a request."""
        if self.pieces is not None:
            return list(self.pieces)
        text = request.last_message if self.text is None else self.text
        # As models write: a word comes with the space before it.
        return re.findall(r"\s*\S+|\s+", text) if isinstance(text, str) else [[b] for b in text]


Script = Reply | Callable[[Request], Reply]
"""A reply, or what makes one from the request: for a model that does as it is told."""


def answer(
    text: Content | None = None,
    *,
    delay: float = 0.0,
    pieces: Sequence[Content] | None = None,
    between: float = 0.0,
    finish: str | None = "stop",
) -> Reply:
    """Answer with a text, content blocks or the pieces; without, echo the last message."""
    return Reply(text=text, delay=delay, pieces=pieces, between=between, finish=finish)


def rate_limited(retry_after: str | None = None) -> Reply:
    """429, asking for so many seconds or until such a date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return failed(429, headers=headers)


def rate_limited_until(seconds: float) -> Reply:
    """429 with Retry-After as an HTTP date that lies so far ahead."""
    return rate_limited(formatdate(time.time() + seconds, usegmt=True))


def failed(status: int = 500, *, headers: Mapping[str, str] | None = None) -> Reply:
    """Fail with a status, and a body that no caller may see."""
    return Reply(status=status, headers=headers or {})


def refused_key() -> Reply:
    """401, as for a key that is not known."""
    return failed(401)


def too_long() -> Reply:
    """400, as for a request that is longer than the model's context."""
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
    """Close the connection without a word."""
    return Reply(then="leave")


# What follows goes wrong after n pieces of an answer. A call without a stream has no pieces: it
# goes wrong half-way through the body.


def broken_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Reset the connection."""
    return Reply(text=text, between=between, then="reset", after=n)


def hangs_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Send nothing more, and keep the connection."""
    return Reply(text=text, between=between, then="hang", after=n)


def unfinished_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """End in good order, but with no word that the answer is finished."""
    return Reply(text=text, between=between, then="stop", after=n)


def garbled_after(
    n: int,
    text: Content | None = None,
    *,
    garbage: str = '{"choices": [{"delta": ',
    between: float = 0.0,
) -> Reply:
    """Send this in place of an event's JSON, and then the rest; without a stream, only this."""
    return Reply(text=text, between=between, then="garble", after=n, garbage=garbage)


def error_after(n: int, text: Content | None = None, *, between: float = 0.0) -> Reply:
    """Send an error where the next piece was due, and end; without a stream, 500."""
    return Reply(text=text, between=between, then="error", after=n)


def empty_stream() -> Reply:
    """200 and no event at all; without a stream, an empty body."""
    return Reply(then="nothing")
