"""Calls of the service's /mcp with the official SDK's client."""

from typing import Any

from mcp import Client
from mcp.types import CallToolResult, TextContent

from tests.servers.service import Service

CURRENT, BEFORE = "2026-07-28", "2025-11-25"
MODES = {CURRENT: CURRENT, BEFORE: "legacy"}
"""The client's mode for each protocol revision."""


async def call(service: Service, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(f"{service.url}/mcp", mode=CURRENT) as client:
        return await client.call_tool(tool, arguments)


async def called(service: Service, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The structured content of a successful call."""
    result = await call(service, tool, arguments)
    assert not result.is_error, text_of(result)
    structure: dict[str, Any] = result.structured_content
    return structure


async def refused(service: Service, tool: str, arguments: dict[str, Any]) -> str:
    """The error text of a failed call."""
    result = await call(service, tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text
