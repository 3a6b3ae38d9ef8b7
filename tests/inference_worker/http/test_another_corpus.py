"""A service over other documents than the default ones names these, and not SageMaker."""

from collections.abc import Iterator

import pytest
from mcp import Client

from tests.servers.chat.mistral import MistralServer
from tests.servers.service import Service, serve, with_mistral

pytestmark = pytest.mark.process

PRODUCT, CORPUS = "Kiln K-900", "the K-900 manual, 2nd edition"


@pytest.fixture
def service(database: str, mistral: MistralServer) -> Iterator[Service]:
    subject = {"product_name": PRODUCT, "corpus_description": CORPUS}
    with serve(database, **with_mistral(mistral), **subject) as running:
        yield running


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_server_and_tools_name_the_corpus(service: Service, mode: str) -> None:
    async with Client(f"{service.url}/mcp", mode=mode) as client:
        server, instructions = client.server_info, client.instructions
        tools = (await client.list_tools()).tools

    assert server is not None
    assert instructions is not None
    assert f"The index contains {CORPUS}," in instructions
    texts = [
        f"{server.name} {server.title} {server.description}",
        instructions,
        *(f"{tool.title} {tool.description}" for tool in tools),
    ]
    assert all(PRODUCT in text and CORPUS in text for text in texts)
    assert "sagemaker" not in f"{server} {instructions} {tools}".lower()
