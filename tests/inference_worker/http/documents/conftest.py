"""A Chroma server with an index of the sample pages."""

from collections.abc import Iterator

import pytest

from tests.servers.chroma import ChromaServer
from tests.servers.documents_service import built


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    folder = tmp_path_factory.mktemp("chroma")
    with ChromaServer(folder / "server") as server:
        built(folder, database=server.url)
        yield server
