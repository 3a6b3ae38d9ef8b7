"""A service with the documents API enabled, over an index of sample pages."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from langchain_core.embeddings import Embeddings

from database.changing.changer import SplitDocument
from database.index.fingerprint import Fingerprint, Recipe
from database.index.store import open_store
from database.reading.reader import Reader
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.splitting import ChunkSize, split_document
from inference_worker.app import create_app
from inference_worker.generation.language_model import LanguageModel
from tests.files.pages import PAGES, WordEmbeddings, builder, write_pages
from tests.servers.service import Service
from utils.settings import Settings

KEY = "the-admins-key"
AS_ADMIN = {"Authorization": f"Bearer {KEY}"}


def built(database: str, folder: Path, pages: dict[str, str] = PAGES) -> str:
    """Build an index of pages."""
    store = open_store(database, create=True)
    builder(store).build(write_pages(folder, pages))
    store.close()
    return database


def splitter(recipe: Recipe) -> SplitDocument:
    size = ChunkSize(recipe.chunk_size, recipe.chunk_overlap)

    def split_by_words(document: Document) -> list[Chunk]:
        return split_document(document, size, lambda text: len(text.split()))

    return split_by_words


@contextmanager
def serving(
    database: str,
    embeddings: Embeddings | None = None,
    llm: LanguageModel | None = None,
    load: Callable[[Fingerprint], Embeddings] | None = None,
    **settings: Any,
) -> Iterator[httpx.Client]:
    """Serve an index; yields a client that sends the admin key."""
    known: dict[str, Any] = {
        "database": database,
        "admin_key": KEY,
        "min_confidence": 0.0,
    } | settings
    reader = Reader(
        open_store=lambda: open_store(database),
        load=load or (lambda fingerprint: embeddings or WordEmbeddings()),
        place=database,
        min_confidence=0.0,
    )
    app = create_app(Settings(_env_file=None, **known), reader=reader, llm=llm, splitter=splitter)
    with (
        Service(app) as service,
        httpx.Client(base_url=service.url, headers=AS_ADMIN, timeout=30) as client,
    ):
        wait_until_ready(client)
        yield client


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "the service did not become ready"
        time.sleep(0.02)


def found(client: httpx.Client, query: str) -> list[str]:
    """The documents that a search returns."""
    response = client.post("/v1/search", json={"query": query, "top_k": 100})
    assert response.status_code == 200, response.text
    return [passage["document"] for passage in response.json()["passages"]]
