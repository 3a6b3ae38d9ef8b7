"""Each operation may be used with the keys that the table says, and with no others."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from inference_worker.app import create_app
from inference_worker.http.access.operations import ANY, OPERATIONS, TOOL, Operation
from inference_worker.http.access.wrong_keys import MAX_WRONG, WrongKeys
from inference_worker.http.mcp.tools import tools_for
from inference_worker.keys.key import Key, Role, digest_of
from inference_worker.keys.key_file import edit_keys
from tests.servers.documents_service import built, splitter
from tests.servers.oidc import Issuer, oidc_issuer
from tests.servers.service import Service, serve
from utils.settings import Settings

NOW = datetime.now(UTC)
SECRETS = {name: f"the-secret-of-{name}" for name in ("read", "write", "admin")}
STALE: dict[str, dict[str, Any]] = {
    "expired": {"expires": NOW - timedelta(days=1)},
    "revoked": {"revoked": NOW},
}
REQUESTS = [operation for operation in OPERATIONS if operation.method != TOOL]
REFUSED = (401, 403, 429)


def path_of(operation: Operation) -> str:
    path = operation.path.replace("{name:path}", "no-such.md").replace("{id}", "no-such")
    path = path.replace("{file:path}", "swagger-ui.css")
    return f"{path}?{operation.flag}=on" if operation.flag else path


def write_key(file: Path, name: str, role: str, **fields: Any) -> None:
    with edit_keys(file) as keys:
        secret = SECRETS.get(name, f"the-secret-of-{name}").encode()
        keys.append(Key(name=name, role=Role(role), sha256=digest_of(secret), **fields))


def ask(service: Service, operation: Operation, name: str = "", token: str = "") -> httpx.Response:
    """Send the operation with a token, or with the key of this name."""
    headers = {"Content-Type": "application/json"}
    if name or token:
        headers["Authorization"] = f"Bearer {token or f'the-secret-of-{name}'}"
    method = "GET" if operation.method == ANY else operation.method
    return service.http.request(method, path_of(operation), headers=headers, content="{}")


def outcome(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    kind = body["type"] if "type" in body else body["error"]["code"].replace("_", "-")
    return response.status_code, kind.rpartition(":")[2]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(tmp_path_factory.mktemp("access"))


@pytest.fixture(autouse=True)
def _unlimited(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys are not counted, but where that is what is tested."""
    if "slow" not in request.node.name:
        monkeypatch.setattr(WrongKeys, "record_wrong", lambda *_: None)


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
def test_expired_tokens_block_no_key_of_others_slow(
    database: str, keys: Path, issuer: Issuer
) -> None:
    """A page that polls with an expired token may share its address with others."""
    row = next(row for row in REQUESTS if row.path == "/v1/documents")
    settings: dict[str, Any] = {"keys_file": keys, "oidc_issuer": issuer.url}
    with serve(database, **settings) as service:
        for _ in range(2 * MAX_WRONG):
            stale = ask(service, row, token=issuer.token(("read",), seconds=-600))
            assert outcome(stale) == (401, "key-invalid")
        assert ask(service, row, "read").status_code == 200


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
def test_address_with_too_many_wrong_keys_is_slowed(
    database: str, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    row = next(row for row in REQUESTS if row.path == "/v1/documents")
    with serve(database, keys_file=keys) as service:
        assert ask(service, row, "read").status_code == 200
        statuses = [ask(service, row, f"guess-{number}").status_code for number in range(15)]
        assert statuses == [401] * MAX_WRONG + [429] * (15 - MAX_WRONG)
        slowed = ask(service, row, "write")  # right, but it could be a guess
        assert outcome(slowed) == (429, "too-many-wrong-keys")
        assert slowed.headers["Retry-After"] == "60"
        assert ask(service, row, "read").status_code == 200  # known from this address
        assert ask(service, row).status_code == 401
    wrong = [vars(each) for each in caplog.records if each.message == "key refused"]
    expected = {"reason": "key-invalid", "address": "127.0.0.1", "path": "/v1/documents"}
    assert [each | expected for each in wrong] == wrong
    assert len(wrong) == MAX_WRONG
    assert not any(secret in caplog.text for secret in SECRETS.values())


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
def test_useless_keys_of_readers_slow_nobody(database: str) -> None:
    """OpenAI's clients send any key where none is needed, and may share an address with others."""
    documents = next(row for row in REQUESTS if row.path == "/v1/documents")
    purge = next(row for row in REQUESTS if row.role is Role.ADMIN)
    limits = {"address_limits": "requests 90/day", "key_limits": "none"}
    with serve(database, admin_key=SECRETS["admin"], **limits) as service:
        for number in range(2 * MAX_WRONG):
            assert ask(service, documents, f"anything-{number}").status_code == 200
        guessed = ask(service, documents, "admin")  # not checked any more: it could be a guess
        assert guessed.headers["RateLimit"].startswith('"requests-per-day";r=')
        assert ask(service, purge, "admin").status_code not in REFUSED


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "testclient", False),
    ],
)
def test_addresses_of_one_client_are_slowed_together(one: str, other: str, are_one: bool) -> None:
    wrong = WrongKeys()
    for _ in range(MAX_WRONG):
        wrong.record_wrong(one)
    assert wrong.blocks(one, "digest")
    assert wrong.blocks(other, "digest") is are_one


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
