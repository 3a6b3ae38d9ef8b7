"""A service with the documents API enabled, over an index of sample pages."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from database.changing.changer import SplitDocument
from database.index.fingerprint import Recipe
from database.index.store import open_store
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.splitting import ChunkSize, split_document
from tests.files.pages import PAGES, builder, write_pages
from tests.servers.service import serve
from utils.benchmark.processes import child, free_port, wait_until_ready

KEY = "the-key-of-the-admin"
AS_ADMIN = {"Authorization": f"Bearer {KEY}"}


def built(folder: Path, pages: dict[str, str] = PAGES, *, database: str = "") -> str:
    """Build an index of pages in the folder, or in the given database; returns its address."""
    database = database or str(folder / "index")
    with closing(open_store(database, create=True)) as store:
        builder(store).build(write_pages(folder / "pages", pages))
    return database


def splitter(recipe: Recipe) -> SplitDocument:
    size = ChunkSize(recipe.chunk_size, recipe.chunk_overlap)

    def split_by_words(document: Document) -> list[Chunk]:
        return split_document(document, size, lambda text: len(text.split()))

    return split_by_words


@contextmanager
def serving(database: str, *arguments: Any, **settings: Any) -> Iterator[httpx.Client]:
    """Serve an index; yields a client that sends the admin key."""
    known = {"admin_key": KEY, "min_confidence": 0.0} | settings
    with serve(database, *arguments, splitter=splitter, **known) as service:
        service.http.headers.update(AS_ADMIN)
        service.wait_until_ready()
        yield service.http


@contextmanager
def worker(
    database: str, log: Path, seconds: float = 0.0
) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """Run a service in its own process, which spends these seconds on embedding each page.

    Yields the process and a client of the service.
    """
    port = free_port()
    command = [sys.executable, "-m", "tests.servers.documents_process"]
    url = f"http://127.0.0.1:{port}"
    with child([*command, database, str(port), str(seconds)], log) as process:
        wait_until_ready(process, "worker", log, f"{url}/readyz")
        with httpx.Client(base_url=url, headers=AS_ADMIN, timeout=30) as client:
            yield process, client


def page(word: str, *lines: str) -> bytes:
    return "\n\n".join((f"# About {word}", f"Here {word} is told of.", *lines)).encode()


def found(client: httpx.Client, query: str) -> list[str]:
    """The documents that a search returns."""
    response = client.post("/v1/search", json={"query": query, "top_k": 100})
    assert response.status_code == 200, response.text
    return [passage["document"] for passage in response.json()["passages"]]


def names(client: httpx.Client, **query: Any) -> list[str]:
    """The names of the index's documents."""
    response = client.get("/v1/documents", params={"limit": 1000} | query)
    assert response.status_code == 200
    return [document["name"] for document in response.json()["documents"]]


def problem(response: httpx.Response) -> str:
    """The problem's type; asserts the problem document's form."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code
    assert body["detail"]
    assert "\n" not in body["detail"]
    return str(body["type"]).removeprefix("urn:sagemaker-docs-qa:problem:")
