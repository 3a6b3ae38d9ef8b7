"""Serves HEAD and conditional GET requests on every route that has GET (RFC 9110)."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from database.journal.jobs import Precondition

_OF_CONTENT = ("content-length", "content-type")


class ConditionalGet:
    """Serves HEAD like GET, and 304 in place of a body that the client already has.

    A response without an ETag gets a hash of its body. The server omits the body of HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        known = ", ".join(Headers(scope=scope).getlist("if-none-match"))
        start: Message | None = None

        async def conditional(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 200:
                start = message  # not sent before the body is known
                return
            if start:
                if not message.get("more_body"):
                    message = _finished(start, message, known)
                await send(start)
                start = None
            await send(message)

        as_get = scope if scope["method"] == "GET" else {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, conditional)
        finally:
            scope["route"] = as_get.get("route")  # for the metrics


def _finished(start: Message, body: Message, known: str) -> Message:
    """Complete the start of a response; returns its body, which is empty if the client knows it."""
    headers = MutableHeaders(scope=start)
    headers.setdefault("etag", f'"{hashlib.sha256(body["body"]).hexdigest()}"')
    if Precondition(none_match=known).is_met_by(headers["etag"].removeprefix("W/").strip('"')):
        return body
    start["status"] = 304
    for name in _OF_CONTENT:
        del headers[name]
    return {"type": "http.response.body"}
