"""Each operation may be used with the keys that the table lists, and with no others."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from inference_worker.app import create_app
from inference_worker.http.access.operations import OPERATIONS, TOOL, Operation
from inference_worker.http.access.wrong_keys import WrongKeys
from inference_worker.http.mcp.tools import tools_for
from inference_worker.keys.key import Role
from tests.servers.access_keys import NOW, REFUSED, REQUESTS, SECRETS, ask, outcome
from tests.servers.documents_service import splitter
from tests.servers.oidc import Issuer, oidc_issuer
from tests.servers.service import Service, serve
from utils.settings import Settings


@pytest.fixture(autouse=True)
def _never_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys do not block: these tests send many from one address."""
    monkeypatch.setattr(WrongKeys, "record_wrong", lambda *_: None)


@pytest.fixture(scope="module")
def closed(database: str, keys: Path, issuer: Issuer) -> Iterator[Service]:
    """A service in which reading needs a key, or a token of the sign-on."""
    settings: dict[str, Any] = {"keys_file": keys, "oidc_issuer": issuer.url}
    with serve(database, splitter=splitter, **settings) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def open_to_readers(database: str) -> Iterator[Service]:
    """A service with an admin key alone."""
    settings = {"admin_key": SECRETS["admin"]}
    with serve(database, splitter=splitter, **settings) as running:
        running.wait_until_ready()
        yield running


def test_every_route_and_every_tool_has_a_row() -> None:
    app = create_app(Settings(_env_file=None))
    rows = {(row.method, row.path.replace(":path", "")) for row in OPERATIONS}
    described = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert described <= rows
    others = {
        (method, route.path.replace(":path", ""))
        for route in app.routes
        if isinstance(route, Route | APIRoute)
        for method in (route.methods or ())
        if method != "HEAD"
    }
    assert others <= rows
    mounts = [route.path for route in app.routes if isinstance(route, Mount)]
    assert all(any(path.startswith(f"{mount}/") for _, path in rows) for mount in mounts)
    tools = {tool.name for tool in tools_for(Settings(_env_file=None))}
    assert {path for method, path in rows if method == TOOL} == tools
    known = described | others
    unused = {row for row in rows if row[0] != TOOL} - known
    assert {path.split("/")[1] for _, path in unused} == {"static-offline-docs"}


def test_tools_need_what_their_route_needs() -> None:
    (role,) = {row.role for row in OPERATIONS if row.path == "/mcp"}
    assert {row.role for row in OPERATIONS if row.method == TOOL} == {role}


@pytest.mark.process
@pytest.mark.parametrize("operation", REQUESTS, ids=lambda row: f"{row.method} {row.path}")
def test_each_operation_with_each_kind_of_key(
    operation: Operation, closed: Service, issuer: Issuer
) -> None:
    without = ask(closed, operation)
    if operation.role is None:
        assert without.status_code not in REFUSED
        return
    assert outcome(without) == (401, "key-missing")
    assert without.headers["WWW-Authenticate"] == "Bearer"
    for name in ("nobody", "expired", "revoked"):
        refused = ask(closed, operation, name)
        assert outcome(refused) == (401, "key-invalid")
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    stale = issuer.token(("admin",), exp=int(NOW.timestamp()) - 3600)
    assert outcome(ask(closed, operation, token=stale)) == (401, "key-invalid")
    assert outcome(ask(closed, operation, token=issuer.token())) == (403, "role-missing")
    for role in Role:
        for response in (
            ask(closed, operation, role),
            ask(closed, operation, token=issuer.token((role.value,))),
        ):
            if role.includes(operation.role):
                assert response.status_code not in REFUSED
            else:
                assert outcome(response) == (403, "role-missing")


@pytest.mark.process
@pytest.mark.parametrize("operation", REQUESTS, ids=lambda row: f"{row.method} {row.path}")
def test_reading_is_open_without_a_key_for_reading(
    operation: Operation, open_to_readers: Service
) -> None:
    for name in ("", "nobody"):
        response = ask(open_to_readers, operation, name)
        if operation.role in (None, Role.READ):
            assert response.status_code not in REFUSED
        else:
            assert outcome(response) == (401, "key-invalid" if name else "key-missing")
    assert ask(open_to_readers, operation, "admin").status_code not in REFUSED


@pytest.mark.process
def test_head_needs_what_get_needs(closed: Service) -> None:
    assert closed.http.head("/v1/documents").status_code == 401
    assert closed.http.head("/healthz").status_code == 200


@pytest.mark.process
@pytest.mark.parametrize(
    ("query", "status"),
    [("purge=1", 403), ("purge=TRUE", 403), ("purge=false&purge=t", 403), ("purge=no", 404)],
)
def test_purge_in_any_spelling_needs_the_admin(query: str, status: int, closed: Service) -> None:
    headers = {"Authorization": f"Bearer {SECRETS['write']}"}
    response = closed.http.delete(f"/v1/documents/no-such.md?{query}", headers=headers)
    assert response.status_code == status


@pytest.mark.process
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("PATCH", "/v1/search", 405), ("POST", "/v1/search/", 307)],
)
def test_what_no_route_serves_needs_no_key(
    method: str, path: str, status: int, closed: Service
) -> None:
    assert closed.http.request(method, path).status_code == status


@pytest.mark.process
def test_route_without_a_row_is_closed(database: str) -> None:
    settings: dict[str, Any] = {"admin_key": SECRETS["admin"]}
    service = serve(database, **settings)
    service.app.add_api_route("/forgotten", lambda: "secret", methods=["GET"])
    with service:
        assert service.http.get("/forgotten").status_code == 401
        headers = {"Authorization": f"Bearer {SECRETS['admin']}"}
        assert service.http.get("/forgotten", headers=headers).json() == "secret"


@pytest.mark.process
@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", SECRETS["admin"])],
        [("Authorization", f"Basic {SECRETS['admin']}")],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {SECRETS['admin']}")] * 2,
        [("X-Api-Key", SECRETS["admin"])],
    ],
)
def test_key_in_another_form_counts_as_none(
    headers: list[tuple[str, str]], closed: Service
) -> None:
    response = closed.http.get("/v1/documents", headers=headers)
    assert outcome(response) == (401, "key-missing")


@pytest.mark.process
def test_sign_on_that_does_not_answer_leaves_keys_valid(database: str, keys: Path) -> None:
    row = next(row for row in REQUESTS if row.path == "/v1/documents")
    settings: dict[str, Any] = {"keys_file": keys, "oidc_issuer": "http://127.0.0.1:9"}
    with oidc_issuer() as other, serve(database, **settings) as service:
        response = ask(service, row, token=other.token(("read",)))
        assert outcome(response) == (503, "sign-on-unavailable")
        assert response.headers["Retry-After"] == "10"
        assert ask(service, row, "read").status_code == 200


@pytest.mark.process
@pytest.mark.parametrize(
    ("proxies", "stated", "address"),
    [
        ("", "192.0.2.1", "127.0.0.1"),
        ("192.0.2.0/24", "192.0.2.1", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.1, 198.51.100.2", "198.51.100.2"),  # the first is the client's word
        ("127.0.0.0/8, 198.51.100.2", "192.0.2.1, 198.51.100.2", "192.0.2.1"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_address_of_a_client_is_what_a_trusted_proxy_states(
    proxies: str, stated: str, address: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    headers = {"Authorization": "Bearer wrong", "X-Forwarded-For": stated}
    with serve(database, admin_key=SECRETS["admin"], trusted_proxies=proxies) as service:
        assert service.http.delete("/v1/documents/x.md", headers=headers).status_code == 401
    (line,) = [vars(each) for each in caplog.records if each.message == "key refused"]
    assert (line["address"], line["method"]) == (address, "DELETE")


@pytest.mark.process
def test_description_states_the_keys(closed: Service, open_to_readers: Service) -> None:
    cases: list[tuple[Service, list[Any]]] = [
        (closed, [{"key": []}]),
        (open_to_readers, [{}, {"key": []}]),
    ]
    for service, reading in cases:
        paths = service.http.get("/openapi.json").json()["paths"]
        assert "security" not in paths["/healthz"]["get"]
        assert paths["/v1/search"]["post"]["security"] == reading
        assert paths["/v1/documents/{name}"]["put"]["security"] == [{"key": []}]
        assert {"401", "429"} <= paths["/v1/search"]["post"]["responses"].keys()
        assert {"401", "403", "429"} <= paths["/v1/documents"]["post"]["responses"].keys()
