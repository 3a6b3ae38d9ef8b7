"""The Model Context Protocol at /mcp: the documentation as tools for chat clients and agents.

Stateless: each request gets one JSON response, so that any replica can serve it and no connection
stays open. The SDK supports the protocol's current revision (2026-07-28) and the earlier ones,
which begin with `initialize`.
"""

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp import types as protocol
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from inference_worker.http.event_stream import while_connected
from inference_worker.http.mcp.arguments import describe_errors, input_schema
from inference_worker.http.mcp.tools import Tool, ToolCallError, instructions_for, tools_for
from inference_worker.http.problems import INTERNAL, Problem, problem_response, record_problem
from utils.errors import DocsQAError
from utils.settings import VERSION, Settings

if TYPE_CHECKING:
    from inference_worker.answering.answerer import Answerer

log = logging.getLogger(__name__)

PATH = "/mcp"
_NOT_JSON = Problem(
    "bad-request",
    400,
    "Not a message of the Model Context Protocol",
    "Send JSON-RPC with Content-Type: application/json.",
)


class McpEndpoint:
    """/mcp as a route of an app, which serves requests inside `running()`."""

    def __init__(self, answerer: "Answerer", settings: Settings) -> None:
        self._answerer = answerer
        self._max_characters = settings.max_question_characters
        tools = tools_for(settings)
        self._tools = {tool.name: tool for tool in tools}
        self._schemas = {tool.name: _tool_schema(tool, self._max_characters) for tool in tools}
        self._server: Server[Any] = Server(
            settings.product_name,
            title=f"Ask about {settings.product_name}",
            description=f"Searches, reads and answers from {settings.corpus_description}.",
            version=VERSION,
            instructions=instructions_for(settings),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=self._input_schema,
        )
        self._sessions: StreamableHTTPSessionManager | None = None
        # An instance is an ASGI app; a method would be called with a request alone.
        self.route = Route(PATH, self, methods=["POST"], name="mcp", include_in_schema=False)
        """Without the protocol's GET (opens a stream) and DELETE (ends a session)."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve requests; on exit, those in progress are cancelled."""
        # One per run, as it cannot be started twice. Stateless "sessions" last one request.
        sessions = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with sessions.run():
            self._sessions = sessions
            try:
                yield
            finally:
                self._sessions = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        request = Request(scope)
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            await problem_response(request, _NOT_JSON)(scope, receive, send)
            return
        if self._sessions is None:
            raise RuntimeError("/mcp received a request outside of running()")
        await self._sessions.handle_request(scope, receive, send)

    async def _list_tools(
        self, context: ServerRequestContext[Any], params: protocol.PaginatedRequestParams | None
    ) -> protocol.ListToolsResult:
        return protocol.ListToolsResult(tools=list(self._schemas.values()))

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        """The schema that the SDK validates a call's headers against."""
        tool = self._schemas.get(name)
        return tool.input_schema if tool else None

    async def _call_tool(
        self, context: ServerRequestContext[Any], params: protocol.CallToolRequestParams
    ) -> protocol.CallToolResult:
        """Call a tool. An error is a result too, so that the language model can read it."""
        request, tool = context.request, self._tools.get(params.name)
        if tool is None:
            raise MCPError(
                protocol.INVALID_PARAMS, f"No such tool. The tools are: {', '.join(self._tools)}."
            )
        try:
            arguments = tool.arguments.model_validate(
                params.arguments or {}, context={"max_characters": self._max_characters}
            )
        except ValidationError as error:
            return _failed(describe_errors(error, tool.arguments))
        calling = tool.call(self._answerer, arguments)
        try:
            # The SDK does not detect that a client disconnects.
            result = await (while_connected(request, calling) if request else calling)
        except ToolCallError as error:
            return _failed(str(error))
        except HTTPException:
            return _failed("The client disconnected.")  # nobody reads it
        except DocsQAError as error:
            problem = record_problem(request, error)
            return _failed(f"{problem.title}. {problem.detail}")
        except Exception:
            request_id = request.scope.get("request_id", "") if request else ""
            log.exception("Unexpected error in the tool %s, request %s", tool.name, request_id)
            return _failed(f"{INTERNAL.title}. {INTERNAL.detail} Request id: {request_id}")
        return protocol.CallToolResult(
            content=[protocol.TextContent(text=result.as_text())],
            structured_content=result.model_dump(mode="json"),
        )


def _tool_schema(tool: Tool, max_characters: int) -> protocol.Tool:
    return protocol.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.arguments, max_characters),
        output_schema=tool.result.model_json_schema(mode="serialization"),
        annotations=protocol.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=tool.is_open_world,
        ),
    )


def _failed(what_to_do: str) -> protocol.CallToolResult:
    return protocol.CallToolResult(content=[protocol.TextContent(text=what_to_do)], is_error=True)
