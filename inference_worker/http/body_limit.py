"""Middleware that rejects bodies over a limit, before they fill the memory."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Counts the bytes that arrive, whatever Content-Length states; uploads have another limit."""

    def __init__(self, app: ASGIApp, limit: int, upload_limit: int) -> None:
        self._app = app
        self._limit = limit
        self._upload_limit = upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raises HTTPException 413 if its body exceeds the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_limit if _is_upload(scope) else self._limit
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:
                raise HTTPException(413, f"Send at most {limit:,} bytes.")
            return message

        await self._app(scope, counted, send)


def _is_upload(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] in ("PUT", "POST") and path.startswith("/v1/documents")
