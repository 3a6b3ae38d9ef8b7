"""The HTTP client; every request becomes an exchange."""

import contextlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.endurance.system.exchange import NO_ANSWER, Exchange
from tests.endurance.system.processes import ADMIN_KEY, Service

if TYPE_CHECKING:
    import httpx

_SECONDS = 40.0
_IDLE_SECONDS = 2.0
_KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


@dataclass(slots=True)
class Client:
    """One pool of connections for all requests."""

    http: "httpx.AsyncClient"

    async def send(
        self,
        route: str,
        worker: Service,
        method: str,
        path: str,
        *,
        asked: str = "",
        **options: Any,
    ) -> Exchange:
        """Send one request; a failed connection is an exchange too."""
        import httpx

        sent = time.perf_counter()
        status, body, error = NO_ANSWER, None, ""
        if route in ("put", "post", "delete"):
            options["headers"] = _KEY | options.get("headers", {})
        try:
            response = await self.http.request(method, f"{worker.address}{path}", **options)
            body = _read(response)
            status = _status(response.status_code, body)
        except (httpx.TransportError, httpx.InvalidURL) as failure:
            error = f"{type(failure).__name__}: {failure}".rstrip(": ")
        received = time.perf_counter()
        return Exchange(route, worker.name, sent, received, status, body, asked or path, error)

    async def search(self, worker: Service, query: str, top_k: int = 8, **more: Any) -> Exchange:
        """Search."""
        body = {"query": query, "top_k": top_k} | more
        return await self.send("search", worker, "POST", "/v1/search", asked=query, json=body)

    async def read(self, worker: Service, name: str) -> Exchange:
        """Read a document."""
        return await self.send("read", worker, "GET", f"/v1/documents/{name}")

    async def list_documents(self, worker: Service) -> tuple[Exchange, list[Any], int]:
        """List all documents, page by page: the last exchange, the rows, the reported total."""
        rows: list[Any] = []
        query: dict[str, Any] = {"limit": 100}
        while True:
            page = await self.send("list", worker, "GET", "/v1/documents", params=query)
            if page.status != 200:
                return page, rows, -1
            rows += page.body["documents"]
            if not page.body["next"]:
                return page, rows, page.body["total"]
            query["after"] = page.body["next"]


@contextlib.asynccontextmanager
async def client() -> Any:
    """Open a client."""
    import httpx

    # Close idle connections before the worker does: a request must never meet a closing one.
    limits = httpx.Limits(
        max_connections=400, max_keepalive_connections=60, keepalive_expiry=_IDLE_SECONDS
    )
    async with httpx.AsyncClient(timeout=_SECONDS, limits=limits, trust_env=False) as http:
        yield Client(http)


def _read(response: "httpx.Response") -> Any:
    """The response's JSON; of a stream, a list of its events' data."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return [json.loads(data) for data in _events(response.text.splitlines())]
    try:
        return response.json()
    except ValueError:
        return response.text[:200]


def _status(status: int, body: Any) -> int:
    """The response's status, or that of the problem at the end of a stream."""
    last = body[-1] if isinstance(body, list) and body else {}
    return int(last.get("status", status)) if isinstance(last, dict) else status


def _events(lines: Iterable[str]) -> Iterable[str]:
    return (line.removeprefix("data:") for line in lines if line.startswith("data:"))
