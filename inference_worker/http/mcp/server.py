"""The Model Context Protocol at /mcp: the documentation as tools for chat clients and agents.

Stateless: every request stands for itself and is answered by one JSON body, so any replica can
serve it, and nothing is held open that would have to be closed. The SDK speaks the protocol's
current revision (2026-07-28) and those before it, which begin with `initialize`.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mcp import MCPError
from mcp import types as protocol
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from inference_worker.http.event_stream import while_connected
from inference_worker.http.mcp.arguments import describe_errors, input_schema
from inference_worker.http.mcp.results import Result
from inference_worker.http.mcp.tools import INSTRUCTIONS, TOOLS, Tool, ToolCallError
from inference_worker.http.problems import INTERNAL, Problem, problem_for, problem_response
from utils.errors import DocsQAError

if TYPE_CHECKING:
    from inference_worker.answering.answerer import Answerer

log = logging.getLogger(__name__)

PATH = "/mcp"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Always served: a page elsewhere cannot have its own name turned into one of these."""
REFUSALS = {
    400: Problem(
        "bad-request",
        HTTPStatus.BAD_REQUEST,
        "Not a message of the Model Context Protocol",
        "Send JSON-RPC with Content-Type: application/json.",
    ),
    421: Problem(
        "host-not-allowed",
        HTTPStatus.MISDIRECTED_REQUEST,
        "This service is not known by that host name",
        "The operator must add the host name that clients use to MCP_ALLOWED_HOSTS.",
    ),
    403: Problem(
        "origin-not-allowed",
        HTTPStatus.FORBIDDEN,
        "Pages of that origin may not call this service",
        "The operator must add the origin to MCP_ALLOWED_ORIGINS.",
    ),
}
"""By the status with which the SDK's own check refuses a request."""


class McpEndpoint:
    """/mcp as a route of an app; it answers while `running` is entered."""

    def __init__(
        self,
        answerer: "Answerer",
        *,
        version: str,
        most_characters: int,
        allowed_hosts: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
    ) -> None:
        """Make the endpoint.

        Args:
            answerer: Searches, reads documents and answers.
            version: The service's version, for clients to show.
            most_characters: Longest query or question.
            allowed_hosts: Host names under which requests are served, beside the local ones; a
                name without a port is good for every port.
            allowed_origins: Origins of web pages that may send requests, beside those of the hosts.
        """
        self._server = DocumentationServer(answerer, version, most_characters).server
        self._security = TransportSecurityMiddleware(_security(allowed_hosts, allowed_origins))
        self._sessions: StreamableHTTPSessionManager | None = None
        # A page's browser asks before it sends (OPTIONS), and hides the answer unless told not to.
        shared = CORSMiddleware(
            self._handle,
            allow_origins=allowed_origins,
            allow_methods=["POST"],
            allow_headers=["*"],
        )
        self.route = Route(
            PATH, shared, methods=["POST", "OPTIONS"], name="mcp", include_in_schema=False
        )
        """The protocol's GET would hold a stream open, and DELETE end a session: there are none."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer until left; what is then still under way is cancelled."""
        # One for each run: the SDK's cannot be started twice. Its "sessions" last one request here.
        sessions = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with sessions.run():
            self._sessions = sessions
            try:
                yield
            finally:
                self._sessions = None

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        refusal = await self._security.validate_request(request, is_post=True)
        if refusal is not None:
            await problem_response(request, REFUSALS[refusal.status_code])(scope, receive, send)
            return
        if self._sessions is None:
            raise RuntimeError("/mcp was asked before it ran or after it stopped")
        await self._sessions.handle_request(scope, receive, send)


def _security(hosts: Sequence[str], origins: Sequence[str]) -> TransportSecuritySettings:
    """Against DNS rebinding: a page elsewhere whose own name is made to lead to this service."""
    names = [*LOCAL_HOSTS, *hosts]
    own = [f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
    return TransportSecuritySettings(
        allowed_hosts=[*names, *(f"{name}:*" for name in names)],
        allowed_origins=[*own, *(f"{origin}:*" for origin in own), *origins],
    )


class DocumentationServer:
    """Lists and calls the tools for the SDK's server."""

    def __init__(self, answerer: "Answerer", version: str, most_characters: int) -> None:
        self._answerer = answerer
        self._most_characters = most_characters
        self._tools = {tool.name: tool for tool in TOOLS}
        self._listed = {tool.name: _listed(tool, most_characters) for tool in TOOLS}
        self.server: Server[Any] = Server(
            "sagemaker-documentation",
            title="Amazon SageMaker documentation",
            description="Searches, reads and answers from the Amazon SageMaker documentation.",
            version=version,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=self._input_schema,
        )

    async def _list_tools(
        self, context: ServerRequestContext[Any], asked: protocol.PaginatedRequestParams | None
    ) -> protocol.ListToolsResult:
        return protocol.ListToolsResult(tools=list(self._listed.values()))

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        """What the SDK holds each call's headers against; it would list all tools to find it."""
        tool = self._listed.get(name)
        return tool.input_schema if tool else None

    async def _call_tool(
        self, context: ServerRequestContext[Any], asked: protocol.CallToolRequestParams
    ) -> protocol.CallToolResult:
        """Call a tool. What goes wrong is a result too, so that the language model reads it."""
        tool = self._tools.get(asked.name)
        if tool is None:
            raise MCPError(
                protocol.INVALID_PARAMS, f"No such tool. There are: {', '.join(self._tools)}."
            )
        try:
            arguments = tool.arguments.model_validate(
                asked.arguments or {}, context={"most_characters": self._most_characters}
            )
        except ValidationError as error:
            return _failed(describe_errors(error, tool.arguments))
        try:
            result = await _while_connected(context, tool.call(self._answerer, arguments))
        except ToolCallError as error:
            return _failed(str(error))
        except HTTPException:
            return _failed("The client left.")  # nobody reads it
        except DocsQAError as error:
            problem = problem_for(error)
            log.warning("%s: %s", problem.type, error)
            return _failed(f"{problem.title}. {problem.detail}")
        except Exception:
            request_id = context.request.scope.get("request_id", "") if context.request else ""
            log.exception("Unforeseen in the tool %s, request %s", tool.name, request_id)
            return _failed(f"{INTERNAL.title}. {INTERNAL.detail} Request id: {request_id}")
        return protocol.CallToolResult(
            content=[protocol.TextContent(text=result.as_text())],
            structured_content=result.model_dump(mode="json"),
        )


async def _while_connected(context: ServerRequestContext[Any], work: Awaitable[Result]) -> Result:
    """Do the work for as long as its client is there: the SDK does not look."""
    if context.request is None:
        return await work
    return await while_connected(context.request, work)


def _listed(tool: Tool, most_characters: int) -> protocol.Tool:
    return protocol.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool.arguments, most_characters),
        output_schema=tool.result.model_json_schema(mode="serialization"),
        annotations=protocol.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=tool.leaves_the_service,
        ),
    )


def _failed(what_to_do: str) -> protocol.CallToolResult:
    return protocol.CallToolResult(content=[protocol.TextContent(text=what_to_do)], is_error=True)
