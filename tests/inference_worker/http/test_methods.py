"""HEAD, conditional GET and 405 on every route."""

import httpx
import pytest

from tests.servers.service import QUESTION, Service

pytestmark = pytest.mark.process

GET_ROUTES = [
    *("/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"),
    *("/healthz", "/readyz", "/metrics", "/v1/models", "/v1/models/sagemaker-docs"),
    *("/v1/documents", "/v1/documents?limit=1", "/v1/documents/endpoints.md"),
]
STEADY = [route for route in GET_ROUTES if route != "/metrics"]
"""Their responses do not change between two requests."""


@pytest.fixture(scope="module")
def client(keyless: Service) -> httpx.Client:
    keyless.wait_until_ready()
    return keyless.http


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("path", GET_ROUTES)
def test_head_returns_the_headers_of_get(client: httpx.Client, path: str, coding: str) -> None:
    accepted = {"Accept-Encoding": coding}
    whole, head = client.get(path, headers=accepted), client.head(path, headers=accepted)

    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == whole.headers["content-type"]
    if path in STEADY:
        assert head.headers["etag"] == whole.headers["etag"]
        assert head.headers.get("content-length") == whole.headers.get("content-length")
        if coding == "identity":
            assert head.headers["content-length"] == str(len(whole.content))
    assert client.get("/healthz").status_code == 200  # the connection is still in order


@pytest.mark.parametrize("path", STEADY)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_known_response_is_not_sent_again(client: httpx.Client, method: str, path: str) -> None:
    etag = client.get(path).headers["etag"]

    for known in (etag, f"W/{etag}", f'"other", {etag}'):
        response = client.request(method, path, headers={"If-None-Match": known})

        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == etag
        assert "content-type" not in response.headers
        assert response.headers["x-request-id"]
    changed = client.request(method, path, headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


def test_head_and_304_are_counted_by_route(client: httpx.Client) -> None:
    etag = client.head("/v1/models").headers["etag"]
    client.get("/v1/models", headers={"If-None-Match": etag})

    metrics = client.get("/metrics").text
    for status in (200, 304):
        assert f'route="/v1/models",status="{status}"' in metrics


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "identity", ""])
def test_long_responses_are_compressed_for_those_who_accept_it(
    client: httpx.Client, accepted: str
) -> None:
    headers = {"Accept-Encoding": accepted}
    response = client.post("/v1/search", json={"query": QUESTION}, headers=headers)
    assert response.json()["passages"]
    assert response.headers.get("Content-Encoding") == ("gzip" if "gzip" in accepted else None)
    assert response.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in client.get("/healthz", headers=headers).headers


def test_events_are_not_compressed(client: httpx.Client) -> None:
    headers, body = {"Accept-Encoding": "gzip"}, {"question": QUESTION, "stream": True}
    response = client.post("/v1/answers", json=body, headers=headers)
    assert "Content-Encoding" not in response.headers


def test_errors_are_not_conditional(client: httpx.Client) -> None:
    for path in ("/v1/documents/no-such.md", "/nope"):
        response = client.get(path, headers={"If-None-Match": "*"})

        assert response.status_code == 404
        assert "etag" not in response.headers
        assert client.head(path).status_code == 404


def test_posts_are_not_conditional(client: httpx.Client) -> None:
    response = client.post("/v1/search", json={"query": QUESTION}, headers={"If-None-Match": "*"})

    assert response.status_code == 200
    assert "etag" not in response.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/documents", "HEAD, GET, POST"),
        ("/v1/documents/endpoints.md", "HEAD, GET, PUT, DELETE"),
        ("/v1/jobs/1", "HEAD, GET"),
        ("/v1/answers", "POST"),
        ("/v1/models", "HEAD, GET"),
        ("/v1/chat/completions", "POST"),
        ("/inference_endpoint", "POST"),
        ("/mcp", "POST"),
        ("/docs", "HEAD, GET"),
        ("/openapi.json", "HEAD, GET"),
        ("/static-offline-docs/swagger-ui.css", "HEAD, GET"),
    ],
)
def test_rejected_method_is_answered_with_all_allowed_ones(
    client: httpx.Client, path: str, allowed: str
) -> None:
    for method in {"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}:
        if method not in allowed:
            response = client.request(method, path)

            assert response.status_code == 405, method
            assert response.headers["allow"] == allowed
