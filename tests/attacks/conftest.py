"""The service that is attacked, over the `database` of the test module, and its model."""

from collections.abc import Iterator

import pytest

from tests.servers.chat.mistral import MistralServer
from tests.servers.service import Service, serve, with_mistral


@pytest.fixture(scope="module")
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as running:
        yield running


@pytest.fixture(scope="module")
def service(database: str, mistral: MistralServer) -> Iterator[Service]:
    settings = with_mistral(mistral, min_confidence=0.0, answer_cache_size=0)
    with serve(database, **settings) as running:
        running.wait_until_ready()
        yield running
