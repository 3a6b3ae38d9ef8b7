"""An index, a file of keys of each kind, and a sign-on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.access_keys import STALE, write_key
from tests.servers.documents_service import built
from tests.servers.oidc import Issuer, oidc_issuer


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    for role in ("read", "write", "admin"):
        write_key(file, role, role)
    for name, fields in STALE.items():
        write_key(file, name, "admin", **fields)
    return file


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with oidc_issuer() as running:
        yield running
