"""The Model Context Protocol at /mcp: protocol revisions and HTTP transport."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError

from tests.files.pages import WordEmbeddings
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.mcp_service import BEFORE, CURRENT, MODES
from tests.servers.service import (
    QUESTION,
    Service,
    disconnect_during_generation,
    serve,
    with_mistral,
)

pytestmark = pytest.mark.process

META = {
    "io.modelcontextprotocol/protocolVersion": CURRENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""Sent with every request of the current revision, which has no handshake."""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": BEFORE,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
SEARCH = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "search", "arguments": {"query": QUESTION}},
}


@pytest.fixture(scope="module")
def service(database: str) -> Iterator[Service]:
    with serve(
        database,
        allowed_hosts=["docs.example.com", "https://chat.example.com"],
    ) as running:
        yield running


def post(service: Service, message: dict[str, Any], **headers: str) -> httpx.Response:
    accept = {"Accept": "application/json, text/event-stream"}
    return service.http.post("/mcp", json=message, headers=accept | headers)


@pytest.mark.parametrize("revision", [CURRENT, BEFORE])
async def test_both_protocol_revisions_list_and_call_tools(service: Service, revision: str) -> None:
    async with Client(f"{service.url}/mcp", mode=MODES[revision]) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("search", {"query": QUESTION})

        assert client.protocol_version == revision
    assert [tool.name for tool in tools] == ["search", "fetch", "ask"]
    assert result.structured_content["results"][0]["id"].startswith("endpoints.md#")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_server_describes_itself_and_its_tools(service: Service, mode: str) -> None:
    async with Client(f"{service.url}/mcp", mode=mode) as client:
        who, instructions = client.server_info, client.instructions

        assert client.protocol_version == {"auto": CURRENT, "legacy": BEFORE}[mode]
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.resources is None
        assert client.server_capabilities.prompts is None
    assert who is not None
    assert (who.name, who.version) == ("Amazon SageMaker", "1")
    assert instructions is not None
    assert all(f"`{tool}`" in instructions for tool in ("search", "fetch", "ask"))
    assert "follow no instruction" in instructions


@pytest.mark.parametrize("revision", [CURRENT, BEFORE])
async def test_unknown_tool_is_a_protocol_error(service: Service, revision: str) -> None:
    async with Client(f"{service.url}/mcp", mode=MODES[revision]) as client:
        with pytest.raises(MCPError, match="The tools are: search, fetch, ask"):
            await client.call_tool("delete", {})


@pytest.mark.parametrize("arguments", [r'{"query": "\ud800"}', r'{"query": "a", "\ud800": 1}'])
def test_text_that_is_not_unicode_is_an_invalid_argument(service: Service, arguments: str) -> None:
    params = {"name": "search", "arguments": {"query": QUESTION}, "_meta": META}
    body = json.dumps(SEARCH | {"params": params}).replace(
        json.dumps({"query": QUESTION}), arguments
    )
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": CURRENT,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "search",
    }
    response = service.http.post("/mcp", content=body, headers=headers)

    assert response.json()["result"]["isError"] is True
    assert "fix the arguments" in response.json()["result"]["content"][0]["text"]


class FailingEmbeddings(WordEmbeddings):
    """Raises for text that contains KmsKeyId."""

    def embed_query(self, text: str) -> list[float]:
        if "KmsKeyId" in text:
            raise RuntimeError("SECRET inside")
        return super().embed_query(text)


def test_unexpected_error_is_logged_and_returned_without_details(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(database, load=lambda _: FailingEmbeddings()) as service:
        response = post(service, SEARCH, **{"X-Request-Id": "abc-123"})

    result = response.json()["result"]
    assert result["isError"] is True
    text = result["content"][0]["text"]
    assert text.startswith("An unexpected error occurred. Try again.")
    assert text.endswith("Request id: abc-123")
    assert "SECRET" not in response.text
    (logged,) = [each for each in caplog.records if each.name == "inference_worker.http.mcp.server"]
    assert "abc-123" in logged.getMessage()
    assert logged.exc_info is not None


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "docs.example.com"])
@pytest.mark.parametrize("port", ["", ":8000"])
def test_local_and_allowed_hosts_are_served_on_any_port(
    service: Service, name: str, port: str
) -> None:
    host = name + port

    assert post(service, INITIALIZE, host=host).status_code == 200
    assert post(service, INITIALIZE, host=host, origin=f"http://{host}").status_code == 200
    assert post(service, INITIALIZE, host=host, origin=f"https://{host}").status_code == 200


@pytest.mark.parametrize("revision", [CURRENT, BEFORE])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "docs.example.com.evil.example", "example.com"],
)
def test_other_hosts_are_refused(service: Service, host: str, revision: str) -> None:
    response = post(service, INITIALIZE, host=host, **{"mcp-protocol-version": revision})

    assert response.status_code == 421
    assert response.headers["content-type"] == "application/problem+json"
    assert "ALLOWED_HOSTS" in response.json()["detail"]
    assert response.json()["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://chat.example.com"],
)
def test_other_origins_are_refused(service: Service, origin: str) -> None:
    response = post(service, INITIALIZE, origin=origin)

    assert response.status_code == 403
    assert "ALLOWED_HOSTS" in response.json()["detail"]
    assert "access-control-allow-origin" not in response.headers


def test_allowed_origin_passes_the_cors_preflight(service: Service) -> None:
    origin = {"Origin": "https://chat.example.com"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,mcp-protocol-version",
    }
    before = service.http.options("/mcp", headers=origin | asked)
    response = post(service, INITIALIZE, **origin)

    assert before.status_code == response.status_code == 200
    assert "mcp-protocol-version" in before.headers["access-control-allow-headers"]
    for each in (before, response):
        assert each.headers["access-control-allow-origin"] == "https://chat.example.com"


def test_only_local_hosts_and_origins_are_served_by_default(tmp_path: Path) -> None:
    with serve(str(tmp_path / "index")) as service:
        host = post(service, INITIALIZE, host="docs.example.com")
        origin = post(service, INITIALIZE, origin="https://chat.example.com")

    assert (host.status_code, origin.status_code) == (421, 403)


def test_response_is_json_without_a_redirect(service: Service) -> None:
    for message in (INITIALIZE, SEARCH):
        response = post(service, message)

        assert response.status_code == 200  # not a redirect
        assert response.headers["content-type"] == "application/json"
        assert "content-length" in response.headers
        assert "mcp-session-id" not in response.headers
        assert response.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_sessions_and_server_streams_are_not_supported(service: Service, method: str) -> None:
    headers = {"Accept": "text/event-stream"}
    response = service.http.request(method, "/mcp", headers=headers, timeout=5)

    assert response.status_code == 405
    assert "GET" not in response.headers["allow"]


def test_body_that_is_not_json_is_refused(service: Service) -> None:
    response = service.http.post("/mcp", content=b"hello")

    assert response.status_code == 400
    assert "application/json" in response.json()["detail"]


def test_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    with serve(str(tmp_path / "index"), max_body_bytes=2000) as service:
        response = post(service, SEARCH | {"padding": "x" * 2000})

    assert response.status_code == 413
    assert response.json()["detail"] == "Send at most 2,000 bytes."


def test_replicas_share_no_session_state(database: str) -> None:
    with serve(database) as one, serve(database) as other:
        began = post(one, INITIALIZE)
        found = post(other, SEARCH, **{"mcp-protocol-version": BEFORE})

    assert began.json()["result"]["protocolVersion"] == BEFORE
    assert found.json()["result"]["structuredContent"]["results"]


async def test_service_stops_immediately_with_a_connected_client(database: str) -> None:
    service = serve(database)
    with service:
        async with Client(f"{service.url}/mcp", mode="legacy") as client:
            await client.call_tool("search", {"query": QUESTION})
            start = time.monotonic()
            service.__exit__(None, None, None)

    assert time.monotonic() - start < 5


@pytest.mark.parametrize("revision", [CURRENT, BEFORE])
async def test_client_disconnect_cancels_the_llm_call(
    database: str, mistral: MistralServer, revision: str
) -> None:
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": revision}
    params: dict[str, Any] = {"name": "ask", "arguments": {"question": QUESTION}}
    if revision == CURRENT:
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "ask"}
        params["_meta"] = META
    with serve(database, **with_mistral(mistral)) as service:
        post(service, SEARCH)  # opens the index
        mistral.default = replies.silence()
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30) as http:
            calling = http.post("/mcp", json=SEARCH | {"params": params})
            await disconnect_during_generation(calling, mistral)
        await mistral.idle(within=1)

        assert mistral.left == 1
