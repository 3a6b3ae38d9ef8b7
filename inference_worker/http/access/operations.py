"""The table of operations: the role that each requires, in the API and over MCP.

A request that matches a route, but no row of this table, needs the highest role: a route that was
forgotten here is closed. A test compares the table with the routes, and with their description.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Scope

from inference_worker.keys.key import Role

ANY = "any"
TOOL = "tool"
"""In place of the method, of a tool called over MCP: whoever may use /mcp may call every tool."""
_BOOLEAN = TypeAdapter(bool)


@dataclass(frozen=True)
class Operation:
    """A row of the table."""

    method: str
    path: str
    """As the route has it."""
    role: Role | None
    """None: anyone may."""
    flag: str = ""
    """Only requests in which this query parameter is true."""
    calls_model: bool = False
    """Whether it is for answers that a language model writes."""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return compile_path(self.path)[0]

    def matches(self, method: str, path: str, query: QueryParams) -> bool:
        """Whether a request is this operation."""
        if self.method not in (method, ANY) or not self._pattern.match(path):
            return False
        return not self.flag or any(map(_is_true, query.getlist(self.flag)))


OPERATIONS = (
    Operation("GET", "/healthz", None),
    Operation("GET", "/readyz", None),
    Operation("GET", "/openapi.json", None),
    Operation("GET", "/docs", None),
    Operation("GET", "/docs/oauth2-redirect", None),
    Operation(ANY, "/static-offline-docs/{file:path}", None),
    Operation("GET", "/metrics", Role.READ),
    Operation("POST", "/inference_endpoint", Role.READ, calls_model=True),
    Operation("POST", "/v1/answers", Role.READ, calls_model=True),
    Operation("POST", "/v1/search", Role.READ),
    Operation("POST", "/v1/chat/completions", Role.READ, calls_model=True),
    Operation("GET", "/v1/models", Role.READ),
    Operation("GET", "/v1/models/{name:path}", Role.READ),
    Operation("POST", "/mcp", Role.READ),
    *(Operation(TOOL, name, Role.READ) for name in ("search", "fetch", "ask")),
    Operation("GET", "/v1/documents", Role.READ),
    Operation("GET", "/v1/documents/{name:path}", Role.READ),
    Operation("GET", "/v1/jobs/{id}", Role.READ),
    Operation("PUT", "/v1/documents/{name:path}", Role.WRITE),
    Operation("POST", "/v1/documents", Role.WRITE),
    Operation("DELETE", "/v1/documents/{name:path}", Role.ADMIN, flag="purge"),
    Operation("DELETE", "/v1/documents/{name:path}", Role.WRITE),
)
"""The first row that matches a request decides."""


def operation_of(scope: Scope, routes: Iterable[BaseRoute]) -> Operation | None:
    """The operation that a request is; None if there is no such route."""
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    query = QueryParams(scope.get("query_string", b""))
    for operation in OPERATIONS:
        if operation.matches(method, path, query):
            return operation
    asked = {**scope, "method": method}
    is_served = any(route.matches(asked)[0] is Match.FULL for route in routes)
    return Operation(method, path, list(Role)[-1]) if is_served else None


def _is_true(text: str) -> bool:
    """As the route reads the parameter."""
    try:
        return _BOOLEAN.validate_python(text)
    except ValidationError:
        return False
