"""The index that the tests of the HTTP API share, a service over it, and a language model."""

from collections.abc import Iterator

import pytest

from tests.database.served_index import served_index
from tests.files.pages import PAGES
from tests.servers.chat.mistral import MistralServer
from tests.servers.service import Service, serve

LONG_PAGE = "# A long page\n\n" + "\n\n".join(
    f"## Part {part}\n\n" + f"Part {part} is about zebra{part}. " + "It goes on and on. " * 40
    for part in range(60)
)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index of the sample pages and a long one, each with a URL."""
    pages = {
        name: f"---\nurl: https://docs.test/{name.removesuffix('.md')}.html\n---\n{text}"
        for name, text in (PAGES | {"long.md": LONG_PAGE}).items()
    }
    with served_index(tmp_path_factory.mktemp("http"), pages) as address:
        yield address


@pytest.fixture(scope="module")
def keyless(database: str) -> Iterator[Service]:
    """The service without a language model."""
    with serve(database) as running:
        yield running


@pytest.fixture
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        yield server
