"""Requests that a web page of others makes a browser send: DNS rebinding, cross-site POSTs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from inference_worker.http.trusted_hosts import TrustedHosts
from tests.servers.chat.mistral import MistralServer
from tests.servers.documents_service import built, problem
from tests.servers.service import QUESTION, RawConnection, Service, serve

pytestmark = pytest.mark.process

ASK = f"/inference_endpoint?message={QUESTION.replace(' ', '+')}"
EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return built(tmp_path_factory.mktemp("attacked"))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service whose operator has named hosts and an origin."""
    names = ("docs.example.com", "*.corp.example", "https://chat.example.com")
    folder: Path = tmp_path_factory.mktemp("public")
    with serve(str(folder / "index"), allowed_hosts=names) as running:
        yield running.http


def get(service: Service, host: str) -> httpx.Response:
    return service.http.get("/healthz", headers={"Host": host})


def sent(service: Service, *lines: str) -> int:
    """Send a raw request; returns the response's status."""
    with RawConnection(service.http) as raw:
        raw.send(*lines, "", "", encoding="latin-1")
        return raw.status()


# DNS rebinding


def test_no_route_is_served_under_a_foreign_name(service: Service) -> None:
    paths = service.http.get("/openapi.json").json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods]
    others = [("get", path) for path in ("/docs", "/openapi.json", "/", "/nope", "/static/x.js")]

    for method, path in [*routes, *others, ("post", "/mcp"), ("options", "/mcp")]:
        response = service.http.request(method, path, headers={"Host": "evil.example"})

        assert response.status_code == 421, (method, path)
        if not path.startswith(("/v1/chat", "/v1/models")):
            assert problem(response) == "host-not-allowed"
        assert "ALLOWED_HOSTS" in response.text
        assert response.headers["x-request-id"] in response.text or path.startswith("/v1/")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "EVIL.Example:8000",
        "evil.example.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost.example",
        "xn--mller-kva.example",
        "notlocal.example.local.evil.example",
        "[::g]",
        "[1:2]",
    ],
)
def test_names_that_anybody_can_register_are_refused(service: Service, host: str) -> None:
    assert get(service, host).status_code in {400, 421}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:9999",
        "localhost.:8000",
        "app.localhost",
        "127.0.0.1",
        "10.1.2.3:80",
        "203.0.113.9",
        "[::1]:8000",
        "[2001:DB8::1]",
        "[fe80::1%25eth0]:80",
        "inference_worker:8000",
        "MYSERVER",
        "server.local",
        "ip-10-0-0-1.ec2.internal",
        "docs.team.svc.cluster.local:8000",
        "nas.home.arpa",
    ],
)
def test_addresses_and_local_names_need_no_configuration(service: Service, host: str) -> None:
    assert get(service, host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "::1",
        "local host",
        "user@localhost",
        "localhost:80@evil.example",
        "localhost:http",
        "localhost/",
        "evil.example#.localhost",
        "m\xfcller.local",
        "..",
        "[]",
        "localhost, evil.example",
    ],
)
def test_malformed_host_is_refused(service: Service, host: str) -> None:
    assert sent(service, "GET /healthz HTTP/1.1", f"Host: {host}") == 400


def test_missing_and_repeated_hosts_are_refused(service: Service) -> None:
    line = "GET /healthz HTTP/1.1"
    assert sent(service, line, "Accept: */*") == 400
    assert sent(service, line, "Host: localhost", "Host: localhost") == 400
    assert sent(service, line, "Host: localhost", "Host: evil.example") == 400


def test_health_check_by_http_1_0_needs_no_host(service: Service) -> None:
    assert sent(service, "GET /healthz HTTP/1.0") == 200
    assert sent(service, "GET /healthz HTTP/1.0", "Host: evil.example") == 421
    for origin in (EVIL, "null"):
        assert sent(service, f"POST {ASK} HTTP/1.0", f"Origin: {origin}") == 403


def test_absolute_request_target_is_no_way_around(service: Service) -> None:
    line = "GET http://localhost/healthz HTTP/1.1"
    assert sent(service, line, "Host: localhost") == 200
    assert sent(service, line, "Host: evil.example") == 421


def test_forwarded_host_is_not_trusted(service: Service) -> None:
    forwarded = {"Host": "evil.example", "X-Forwarded-Host": "localhost"}
    assert service.http.get("/healthz", headers=forwarded).status_code == 421


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("docs.example.com", 200),
        ("DOCS.example.com.:8443", 200),
        ("a.b.corp.example", 200),
        ("corp.example", 421),
        ("evilcorp.example", 421),
        ("evil.docs.example.com", 421),
        ("chat.example.com", 421),
        ("localhost", 200),
    ],
)
def test_listed_names_are_served_too(public: httpx.Client, host: str, status: int) -> None:
    assert public.get("/healthz", headers={"Host": host}).status_code == status


def test_any_name_can_be_allowed_without_allowing_foreign_pages(tmp_path: Path) -> None:
    with serve(str(tmp_path / "index"), allowed_hosts=("*",)) as running:
        served = running.http.get("/healthz", headers={"Host": "any.example"})
        foreign = running.http.post(ASK, headers={"Host": "any.example", "Origin": EVIL})

    assert served.status_code == 200
    assert foreign.status_code == 403


# Cross-site requests


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://evil.example:127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
)
def test_cross_site_question_is_refused_without_a_language_model_call(
    service: Service, mistral: MistralServer, headers: dict[str, str], kind: str
) -> None:
    calls = len(mistral.requests)

    response = service.http.post(ASK, headers={"Content-Type": kind, **headers})

    assert response.status_code == 403
    assert problem(response) == "origin-not-allowed"
    assert len(mistral.requests) == calls


def test_repeated_origin_is_refused_if_one_is_foreign(service: Service) -> None:
    own = f"Origin: {service.url}"
    host = f"Host: {service.url.removeprefix('http://')}"
    assert sent(service, f"POST {ASK} HTTP/1.1", host, own, f"Origin: {EVIL}") == 403


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/search", "/v1/chat/completions", "/mcp"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_every_route_refuses_cross_site_requests(service: Service, method: str, path: str) -> None:
    preflight = {"Access-Control-Request-Method": "POST"}
    response = service.http.request(method, path, headers={"Origin": EVIL, **preflight})

    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},  # curl, Postman, other servers
        {"User-Agent": "Mozilla/5.0"},
        {"Origin": "{own}", "Sec-Fetch-Site": "same-origin"},  # Swagger UI
        {"Origin": "{own}"},  # Swagger UI under a plain http address
        {"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"},  # behind a proxy
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_programs_and_own_pages_need_no_configuration(
    service: Service, mistral: MistralServer, headers: dict[str, str]
) -> None:
    calls = len(mistral.requests)
    own = {name: value.replace("{own}", service.url) for name, value in headers.items()}

    assert service.http.post(ASK, headers=own).status_code == 200
    assert len(mistral.requests) > calls


def test_links_from_other_sites_are_served(service: Service) -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert service.http.get("/docs", headers=linked).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://chat.example.com", 422),
        ("https://docs.example.com:8443", 422),
        ("http://a.corp.example", 422),
        ("http://chat.example.com", 403),
        ("https://chat.example.com:444", 403),
        ("https://chat.example.com.evil.example", 403),
        (EVIL, 403),
    ],
)
def test_pages_of_listed_origins_and_hosts_may_call(
    public: httpx.Client, origin: str, status: int
) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    assert public.post("/inference_endpoint", headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/documents/a.md", "/mcp"])
def test_pages_of_a_listed_origin_may_read_responses(public: httpx.Client, path: str) -> None:
    origin = {"Origin": "https://chat.example.com"}
    asked = {
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    before = public.options(path, headers=origin | asked)
    response = public.get("/v1/models", headers=origin)

    assert before.status_code == 200
    assert before.headers["access-control-allow-headers"] == "authorization"
    assert response.headers["access-control-allow-origin"] == "https://chat.example.com"


@pytest.mark.parametrize(
    ("headers", "is_served"),
    [
        ([(b"host", b"localhost")], True),
        ([(b"host", b"evil.example")], False),
        ([(b"host", b"localhost"), (b"origin", b"http://localhost:3000")], True),
        ([(b"host", b"localhost"), (b"origin", b"https://evil.example")], False),
    ],
)
async def test_websockets_are_checked_too(headers: list[Any], is_served: bool) -> None:
    messages: list[Message] = []

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": headers, "http_version": "1.1"}
    await TrustedHosts(echo, ())(scope, receive, send)

    accepted, refused = {"type": "websocket.accept"}, {"type": "websocket.close", "code": 1008}
    assert messages == [accepted if is_served else refused]
