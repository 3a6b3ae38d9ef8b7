"""Each client is limited by itself, and all clients by the budget; what is left is stated."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference_worker.keys.key import Key, Role, digest_of
from inference_worker.keys.key_file import edit_keys
from inference_worker.limits.spending import BUDGET_SPENT, CLIENT_EXHAUSTED
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer
from tests.servers.service import QUESTION, Service, serve, with_mistral

pytestmark = pytest.mark.process

KEYS = {name: f"the-secret-of-{name}" for name in ("app", "batch")}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    limits = {"app": "", "batch": "requests 5/day, calls none"}
    with edit_keys(file) as keys:
        for name, secret in KEYS.items():
            digest = digest_of(secret.encode())
            keys.append(Key(name=name, role=Role.WRITE, sha256=digest, limits=limits[name]))
    return file


@pytest.fixture
def service_with(database: str, mistral: MistralServer) -> Iterator[Any]:
    """Starts a service whose answers are written by the local server."""
    started: list[Service] = []

    def start(**settings: Any) -> Service:
        settings = {"answer_cache_size": 0, "min_confidence": 0.0, **settings}
        service = serve(database, **with_mistral(mistral, **settings)).__enter__()
        service.wait_until_ready()
        started.append(service)
        return service

    mistral.reset()
    yield start
    for service in started:
        service.__exit__()


def ask(service: Service, number: int = 0, key: str = "", path: str = "/v1/answers") -> Any:
    headers = {"Authorization": f"Bearer {KEYS[key]}"} if key else {}
    question = f"{QUESTION} ({number})"
    if path == "/inference_endpoint":
        return service.http.post(path, params={"message": question}, headers=headers)
    messages = [{"role": "user", "content": question}]
    body = {
        "/v1/search": {"query": question},
        "/v1/answers": {"question": question},
        "/v1/chat/completions": {"model": "sagemaker-docs", "messages": messages},
    }
    return service.http.post(path, json=body[path], headers=headers)


def test_address_is_limited_and_learns_what_is_left(service_with: Any) -> None:
    service = service_with(address_limits="requests 3/day")
    responses = [ask(service, path="/v1/search") for _ in range(4)]
    assert [each.status_code for each in responses] == [200, 200, 200, 429]
    for left, response in zip((2, 1, 0, 0), responses, strict=True):
        assert response.headers["RateLimit-Policy"] == '"requests-per-day";q=3;w=86400'
        name, remaining, seconds = response.headers["RateLimit"].split(";")
        assert (name, remaining) == ('"requests-per-day"', f"r={left}")
        assert 0 < int(seconds.removeprefix("t=")) <= 2 * 86_400
    refused = responses[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"].endswith("rate-limited")
    assert refused.json()["detail"].startswith(
        "The limit is 3 requests per day. Wait for the seconds"
    )
    assert int(refused.headers["Retry-After"]) >= 1
    assert 'docsqa_refusals_total{reason="rate-limited"} ' in metrics_of(service)


def metrics_of(service: Service) -> str:
    """The metrics, which are limited too: read from the app."""
    exposition: bytes = service.app.state.metrics.exposition()
    return exposition.decode()


def test_what_needs_no_role_is_not_limited(service_with: Any) -> None:
    service = service_with(address_limits="requests 1/day")
    for path in ("/healthz", "/readyz", "/docs", "/nothing"):
        for _ in range(3):
            response = service.http.get(path)
            assert response.status_code in (200, 404)
            assert "RateLimit" not in response.headers
    assert ask(service, path="/v1/search").status_code == 200


def test_keys_have_limits_of_their_own(service_with: Any, keys_file: Path) -> None:
    service = service_with(
        address_limits="requests 1/day", key_limits="requests 3/day", keys_file=keys_file
    )
    for key, amount in (("", 1), ("app", 3), ("batch", 5)):
        statuses = [ask(service, key=key, path="/v1/search").status_code for _ in range(7)]
        assert statuses == [200] * amount + [429] * (7 - amount)


def test_addresses_behind_a_trusted_proxy_are_limited_each(service_with: Any) -> None:
    service = service_with(address_limits="requests 1/day", trusted_proxies="127.0.0.1")

    def status(address: str) -> int:
        headers = {"X-Forwarded-For": address}
        response = service.http.post("/v1/search", json={"query": QUESTION}, headers=headers)
        return int(response.status_code)

    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "1.2.3.4, 192.0.2.2"]
    assert [status(address) for address in addresses] == [200, 200, 429, 429]


@pytest.mark.parametrize("path", ["/v1/answers", "/inference_endpoint", "/v1/chat/completions"])
def test_calls_of_the_language_model_are_limited(
    path: str, service_with: Any, mistral: MistralServer
) -> None:
    service = service_with(address_limits="requests 100/minute, calls 3/day")
    responses = [ask(service, number, path=path) for number in range(6)]
    assert [each.status_code for each in responses] == [200] * 3 + [429] * 3
    assert len(mistral.requests) == 3
    assert ask(service, path="/v1/search").status_code == 200
    error = responses[-1].json()
    if path == "/v1/chat/completions":
        assert error["error"]["type"] == "rate_limit_error"
        assert "3 calls of the language model per day" in error["error"]["message"]
    else:
        assert "3 calls of the language model per day" in error["detail"]


def test_calls_beyond_the_limit_of_answers_already_begun_are_not_made(
    service_with: Any, mistral: MistralServer
) -> None:
    """All of them pass the check at their beginning; the others' answers are quoted."""
    mistral.default = answer(delay=1.0)
    service = service_with(address_limits="calls 3/day")
    with ThreadPoolExecutor(12) as threads:
        responses = list(threads.map(lambda number: ask(service, number), range(12)))
    assert len(mistral.requests) == 3
    answers = [each.json() for each in responses if each.status_code == 200]
    quoted = [each for each in answers if each["generator"] == "extractive"]
    assert len(answers) - len(quoted) == 3
    assert {each["degraded_reason"] for each in quoted} <= {CLIENT_EXHAUSTED}


def test_tokens_are_limited_by_the_providers_figures(
    service_with: Any, mistral: MistralServer
) -> None:
    service = service_with(address_limits="tokens 1/day")
    first, second = ask(service, 1), ask(service, 2)
    assert first.json()["usage"]["input_tokens"] > 1
    assert second.status_code == 429
    assert "1 tokens per day" in second.json()["detail"]
    assert len(mistral.requests) == 1


def test_spent_budget_quotes_and_says_so_even_after_a_restart(
    service_with: Any, mistral: MistralServer, tmp_path: Path
) -> None:
    budget = {"token_budget": 1, "token_budget_file": tmp_path / "budget.sqlite3"}
    service = service_with(**budget)
    assert ask(service, 1).json()["generator"] != "extractive"
    for running in (service, service_with(**budget)):
        response = ask(running, 2)
        quoted = response.json()
        assert response.status_code == 200
        assert (quoted["generator"], quoted["degraded_reason"]) == ("extractive", BUDGET_SPENT)
        assert f"because {BUDGET_SPENT}" in quoted["answer"]
        assert "docsqa_token_budget 1.0" in metrics_of(running)
    assert len(mistral.requests) == 1


def test_mcp_is_limited_too(service_with: Any, mistral: MistralServer) -> None:
    service = service_with(address_limits="requests 3/day, calls 1/day")
    call = {"name": "ask", "arguments": {"question": QUESTION}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream"}
    statuses = [service.http.post("/mcp", json=body, headers=headers).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert len(mistral.requests) == 1


def test_web_pages_of_allowed_origins_can_read_the_refusal(service_with: Any) -> None:
    service = service_with(
        address_limits="requests 1/day", allowed_hosts="https://chat.example.com"
    )
    headers = {"Origin": "https://chat.example.com"}
    responses: list[httpx.Response] = [
        service.http.post("/v1/search", json={"query": QUESTION}, headers=headers) for _ in range(2)
    ]
    assert [each.status_code for each in responses] == [200, 429]
    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example.com"
