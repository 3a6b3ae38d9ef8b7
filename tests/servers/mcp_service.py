"""The service's /mcp over a small index, called with the official SDK's client."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings
from mcp import Client
from mcp.types import CallToolResult, TextContent

from database.index.fingerprint import Fingerprint
from database.index.store import open_store
from database.reading.reader import Reader
from inference_worker.app import create_app
from tests.database.served_index import served_index
from tests.files.pages import PAGES, WordEmbeddings
from tests.servers.service import Service
from utils.settings import Settings

CURRENT, BEFORE = "2026-07-28", "2025-11-25"
MODES = {CURRENT: CURRENT, BEFORE: "legacy"}
"""The client's mode for each protocol revision."""
QUESTION = "How is the storage volume of an endpoint encrypted with KmsKeyId?"
FOREIGN = "Who won the Eurovision song contest in 1998?"
LONG = "# A long page\n\n" + "\n\n".join(
    f"## Part {part}\n\n" + f"Part {part} is about zebra{part}. " + "It goes on and on. " * 40
    for part in range(60)
)


def documentation(folder: Path) -> AbstractContextManager[str]:
    """Serve an index of the sample pages and a long one, each with a URL."""
    pages = {
        name: f"---\nurl: https://docs.example/{name.removesuffix('.md')}.html\n---\n{text}"
        for name, text in (PAGES | {"long.md": LONG}).items()
    }
    return served_index(folder, pages)


def load_words(fingerprint: Fingerprint) -> Embeddings:
    return WordEmbeddings()


def serve(
    database: str,
    load: Callable[[Fingerprint], Embeddings] = load_words,
    **settings: Any,
) -> Service:
    chosen = Settings(_env_file=None, database=database, **settings)
    reader = Reader(lambda: open_store(database, timeout=2), load, database)
    return Service(create_app(chosen, reader=reader))


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
