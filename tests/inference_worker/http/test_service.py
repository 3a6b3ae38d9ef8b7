"""The HTTP contract: responses and error documents of each route."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import Embeddings
from pydantic import SecretStr

from database.index.fingerprint import Fingerprint
from database.index.store import open_store
from database.reading.reader import Reader
from inference_worker.app import create_app
from tests.database.served_index import served_index
from tests.files.pages import WordEmbeddings, builder, write_pages
from tests.servers.chat.mistral import MistralServer, answer, failed, rate_limited, silence
from tests.servers.chroma import ChromaServer
from tests.servers.service import Service
from utils.errors import IndexMismatchError, ModelError
from utils.settings import Settings

pytestmark = pytest.mark.process

QUESTION = "How is the storage volume of an endpoint encrypted with KmsKeyId?"
FOREIGN = "Who won the Eurovision song contest in 1998?"


def load_words(fingerprint: Fingerprint) -> Embeddings:
    return WordEmbeddings()


def serve(
    database: str,
    load: Callable[[Fingerprint], Embeddings] = load_words,
    **settings: Any,
) -> Service:
    chosen = Settings(_env_file=None, database=database, **settings)
    reader = Reader(
        lambda: open_store(database, timeout=2),
        load,
        database,
        min_confidence=chosen.min_confidence,
    )
    return Service(create_app(chosen, reader=reader))


def with_mistral(mistral: MistralServer, **settings: Any) -> dict[str, Any]:
    return {
        "mistral_api_key": SecretStr("test-key"),
        "mistral_base_url": mistral.url,
        **settings,
    }


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_index(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.fixture(scope="module")
def service(database: str) -> Iterator[Service]:
    with serve(database) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as http:
        yield http


@pytest.fixture
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        yield server


def assert_problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert body["type"].endswith(f":{slug}")
    assert body["status"] == status
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    return body


def test_inference_endpoint_returns_an_answer_and_documents(client: httpx.Client) -> None:
    response = client.post("/inference_endpoint", params={"message": QUESTION})

    assert response.status_code == 200
    assert response.json().keys() == {"answer", "docs"}
    assert "KmsKeyId" in response.json()["answer"]
    assert response.json()["docs"][0] == "endpoints.md"
    assert len(set(response.json()["docs"])) == len(response.json()["docs"])


def test_answer_without_a_key_is_marked_extractive(client: httpx.Client) -> None:
    body = client.post("/v1/answers", json={"question": QUESTION, "top_k": 2}).json()

    assert body["generator"] == "extractive"
    assert body["degraded"] is False
    assert len(body["passages"]) == 2
    assert body["timings"].keys() == {"retrieve", "generate", "ground", "total"}


def test_search_returns_confidence_and_answerability(
    client: httpx.Client,
) -> None:
    covered = client.post("/v1/search", json={"query": QUESTION}).json()
    foreign = client.post("/v1/search", json={"query": FOREIGN}).json()

    assert covered["answerable"] is True
    assert foreign["answerable"] is False
    assert 0 <= foreign["confidence"] < covered["confidence"] <= 1
    assert foreign["passages"]  # the nearest passages are returned anyway


def test_unanswerable_question_returns_a_refusal_without_an_llm_call(
    database: str, mistral: MistralServer
) -> None:
    with (
        serve(database, **with_mistral(mistral)) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        body = http.post("/v1/answers", json={"question": FOREIGN}).json()

    assert body["answerable"] is False
    assert body["answer"].startswith("The documentation does not seem to cover this.")
    assert body["docs"][0] in body["answer"]
    assert body["degraded"] is False
    assert mistral.requests == []


@pytest.mark.parametrize(("least", "answerable"), [(0.0, True), (1.0, False)])
def test_min_confidence_sets_the_answerability_threshold(
    database: str, least: float, answerable: bool
) -> None:
    for question in (QUESTION, FOREIGN):
        with serve(database, min_confidence=least) as running:
            response = httpx.post(
                f"{running.url}/v1/answers", json={"question": question}, timeout=30
            )

        assert response.json()["answerable"] is answerable


def test_search_returns_passages_by_descending_score(client: httpx.Client) -> None:
    body = client.post("/v1/search", json={"query": QUESTION, "top_k": 3}).json()

    scores = [passage["score"] for passage in body["passages"]]
    assert body["query"] == QUESTION
    assert scores == sorted(scores, reverse=True)
    assert body["passages"][0]["document"] == "endpoints.md"
    assert body["passages"][0]["headings"] == ["Encrypt an endpoint"]


def test_search_top_k_defaults_to_eight(client: httpx.Client) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]["SearchRequest"]

    assert schema["properties"]["top_k"]["default"] == 8


@pytest.mark.parametrize("message", ["", "   ", "\n\t", "x" * 4001])
def test_empty_blank_and_too_long_messages_are_refused(client: httpx.Client, message: str) -> None:
    problem = assert_problem(
        client.post("/inference_endpoint", params={"message": message}), 422, "invalid-request"
    )

    assert problem["detail"].startswith("message: ")


def test_message_of_maximum_length_is_answered(client: httpx.Client) -> None:
    assert client.post("/inference_endpoint", params={"message": "x" * 4000}).status_code == 200


def test_missing_message_is_refused(client: httpx.Client) -> None:
    assert_problem(client.post("/inference_endpoint"), 422, "invalid-request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"question": 7}',
        b'{"question": ""}',
        b'{"question": "a", "top_k": 0}',
        b'{"question": "a", "top_k": 101}',
        b'{"question": "a", "stream": "perhaps"}',
        b'{"question": "\\ud800"}',
    ],
)
def test_invalid_question_body_is_refused(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/answers", content=body, headers=headers)

    assert_problem(response, 422, "invalid-request")


def test_body_that_is_not_utf_8_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/answers", content=b'{"question": "\xff"}', headers=headers)

    assert_problem(response, 400, "bad-request")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nope", 404), ("GET", "/inference_endpoint", 405)]
)
def test_unknown_routes_and_methods_are_problem_documents(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    slug = {404: "not-found", 405: "method-not-allowed"}[status]

    assert_problem(client.request(method, path), status, slug)


def test_valid_request_id_is_echoed_and_an_invalid_one_replaced(client: httpx.Client) -> None:
    kept = client.get("/healthz", headers={"x-request-id": "abc-123"})
    replaced = client.get("/healthz", headers={"x-request-id": "no spaces <b>"})

    assert kept.headers["x-request-id"] == "abc-123"
    assert replaced.headers["x-request-id"] != "no spaces <b>"


def test_health_and_readiness_report_store_index_and_model(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    client.post("/inference_endpoint", params={"message": QUESTION})

    body = client.get("/readyz").json()

    assert body["ready"] is True
    assert {name: check["ok"] for name, check in body["checks"].items()} == {
        "store": True,
        "index": True,
        "model": True,
    }
    assert body["index"]["chunks"] == 5


def test_swagger_page_loads_only_local_assets(client: httpx.Client) -> None:
    page = client.get("/docs").text

    assert "swagger-ui" in page
    assert "://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/static-offline-docs/{asset}").status_code == 200


def test_missing_index_is_503_until_it_is_built(tmp_path: Path) -> None:
    database = str(tmp_path / "index")
    with serve(database) as running, httpx.Client(base_url=running.url, timeout=30) as http:
        response = http.post("/inference_endpoint", params={"message": QUESTION})
        problem = assert_problem(response, 503, "index-missing")
        assert response.headers["retry-after"]
        assert str(tmp_path) not in str(problem)
        assert http.get("/readyz").status_code == 503
        assert http.get("/readyz").json()["checks"]["index"]["ok"] is False
        assert http.get("/healthz").status_code == 200

        store = open_store(database, create=True)
        builder(store).build(write_pages(tmp_path / "pages"))
        store.close()

        wait_until_ready(http)
        assert http.post("/inference_endpoint", params={"message": QUESTION}).status_code == 200


@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (IndexMismatchError("model_revision is a there and b here"), "model-mismatch"),
        (ModelError("no weights in /secret/folder"), "model-unavailable"),
    ],
)
def test_mismatched_or_missing_model_is_503(database: str, error: Exception, slug: str) -> None:
    def load(fingerprint: Fingerprint) -> Embeddings:
        raise error

    with serve(database, load) as running, httpx.Client(base_url=running.url) as http:
        response = http.post("/inference_endpoint", params={"message": QUESTION})

        assert_problem(response, 503, slug)
        assert "/secret/folder" not in response.text
        body = http.get("/readyz").json()
        assert body["checks"]["model"]["ok"] is False
        assert body["checks"]["store"]["ok"] is True
        assert "/secret/folder" not in str(body)


def test_service_recovers_from_a_store_outage(chroma_server: ChromaServer, tmp_path: Path) -> None:
    with closing(open_store(chroma_server.url)) as store:
        builder(store).build(write_pages(tmp_path / "pages"))
    with (
        serve(chroma_server.url) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        before = http.post("/inference_endpoint", params={"message": QUESTION})
        assert before.status_code == 200

        chroma_server.kill()
        response = http.post("/inference_endpoint", params={"message": QUESTION})
        assert_problem(response, 503, "store-unreachable")

        chroma_server.start()
        wait_until_ready(http)
        after = http.post("/inference_endpoint", params={"message": QUESTION})
        assert after.json() == before.json()


def test_unexpected_error_is_500_without_details(database: str) -> None:
    class Broken(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            if text == "warm up":
                return super().embed_query(text)
            raise RuntimeError("a secret internal detail")

    with (
        serve(database, lambda fingerprint: Broken()) as running,
        httpx.Client(base_url=running.url) as http,
    ):
        response = http.post("/inference_endpoint", params={"message": QUESTION})

    assert response.status_code == 500
    assert response.json()["type"].endswith(":internal-error")
    assert "secret" not in response.text


def test_language_model_writes_the_answer_in_one_call(
    database: str, mistral: MistralServer
) -> None:
    mistral.script(answer("The volume is encrypted with `KmsKeyId` [1]."))
    with (
        serve(database, **with_mistral(mistral)) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        body = http.post("/v1/answers", json={"question": QUESTION}).json()

    assert body["answer"] == "The volume is encrypted with `KmsKeyId` [1]."
    assert body["generator"] == "mistral-large-latest"
    assert body["degraded"] is False
    assert len(mistral.requests) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (failed(500), "failed"),
        (rate_limited("60"), "rate limited"),
        (silence(), "did not answer"),
        (failed(401), "refused the API key"),
    ],
)
def test_llm_failure_returns_a_degraded_extractive_answer(
    database: str, mistral: MistralServer, reply: Any, reason: str
) -> None:
    mistral.default = reply
    with (
        serve(database, **with_mistral(mistral, inference_timeout=1.5)) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        response = http.post("/v1/answers", json={"question": QUESTION})

    body = response.json()
    assert response.status_code == 200
    assert body["generator"] == "extractive"
    assert body["degraded"] is True
    assert reason in body["degraded_reason"]
    assert "test-key" not in response.text
    assert "KmsKeyId" in body["answer"]


async def test_sixty_four_clients_share_the_llm_concurrently(
    database: str, mistral: MistralServer
) -> None:
    mistral.default = answer("So it is [1].", delay=1.0)
    with serve(database, min_confidence=0.0, **with_mistral(mistral)) as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            requests = [
                http.post("/inference_endpoint", params={"message": f"{QUESTION} {number}"})
                for number in range(64)
            ]
            answers = await asyncio.gather(*requests)

    assert {each.json()["answer"] for each in answers} == {"So it is [1]."}
    assert mistral.max_in_flight > 32


def wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + 20
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, http.get("/readyz").text
        time.sleep(0.1)


@pytest.mark.parametrize("route", ["/v1/search", "/v1/answers"])
@pytest.mark.parametrize("has_length", [True, False])
def test_oversized_body_is_refused_with_or_without_content_length(
    database: str, route: str, has_length: bool
) -> None:
    with serve(database, max_body_bytes=100_000) as service:
        content = b" " * 100_001 if has_length else (b" " * 1000 for _ in range(101))
        response = httpx.post(f"{service.url}{route}", content=content)

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"].endswith(":body-too-large")
    assert problem["detail"] == "Send at most 100,000 bytes."
    assert problem["request_id"] == response.headers["x-request-id"]


def test_body_within_the_limit_is_accepted(database: str) -> None:
    padded = b" " * 90_000 + b'{"query": "endpoint"}'
    with serve(database, max_body_bytes=100_000) as service:
        response = httpx.post(
            f"{service.url}/v1/search",
            content=padded,
            headers={"Content-Type": "application/json"},
        )

    assert response.status_code == 200


def test_invalid_json_is_reported_for_the_body(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v1/answers", content=b'{"question": "a",}', headers=headers)

    assert assert_problem(response, 422, "invalid-request")["detail"].startswith("body: JSON")


FILTERED = {"documents": ["*.md"], "title": "train", "formats": ["markdown"]}


def test_search_returns_only_documents_matching_the_filters(client: httpx.Client) -> None:
    everywhere = client.post("/v1/search", json={"query": QUESTION}).json()
    request = {"query": QUESTION, "filters": FILTERED}
    found = client.post("/v1/search", json=request).json()

    assert everywhere["passages"][0]["document"] == "endpoints.md"
    assert {passage["document"] for passage in found["passages"]} == {"training.md"}
    assert found["confidence"] < everywhere["confidence"]
    assert client.post("/v1/search", json=request | {"filters": None}).json() == everywhere


def test_filters_that_match_no_document_return_no_passages(client: httpx.Client) -> None:
    request = {"query": QUESTION, "filters": {"changed_since": "2020-01-01"}}
    found = client.post("/v1/search", json=request).json()
    assert (found["passages"], found["confidence"], found["answerable"]) == ([], 0.0, False)


@pytest.mark.parametrize("stream", [False, True])
def test_answer_uses_only_documents_matching_the_filters(
    client: httpx.Client, *, stream: bool
) -> None:
    request = {"question": QUESTION, "filters": FILTERED, "stream": stream}
    response = client.post("/v1/answers", json=request)
    assert "training.md" in response.text
    assert "endpoints.md" not in response.text
    nothing = request | {"filters": {"documents": ["no-such.md"]}}
    assert client.post("/v1/answers", json=nothing).status_code == 200


def test_answers_are_cached_per_filter(database: str, mistral: MistralServer) -> None:
    mistral.default = answer("So it is [1].")
    with (
        serve(database, min_confidence=0.0, **with_mistral(mistral)) as running,
        httpx.Client(base_url=running.url, timeout=30) as http,
    ):
        for filters in (None, FILTERED, {"title": "endpoint"}, FILTERED):
            http.post("/v1/answers", json={"question": QUESTION, "filters": filters})

    assert len(mistral.requests) == 3


@pytest.mark.parametrize(
    ("filters", "detail"),
    [
        ({"document": ["a.md"]}, "filters.document"),
        ({"documents": []}, "at least 1"),
        ({"documents": ["a.md"] * 21}, "at most 20"),
        ({"documents": ["a" * 501]}, "at most 500"),
        ({"documents": "a.md"}, "list"),
        ({"formats": ["word"]}, "the formats are csv, docx"),
        ({"changed_since": "last spring"}, "write 2026-03-01 or"),
        ({"changed_before": "2026-02-30"}, "write 2026-03-01 or"),
        ({"title": ""}, "at least 1"),
        ({"url": "u" * 2001}, "at most 2000"),
        ("a.md", "filters"),
    ],
)
@pytest.mark.parametrize("route", ["/v1/search", "/v1/answers"])
def test_invalid_filter_is_refused(
    client: httpx.Client, route: str, filters: Any, detail: str
) -> None:
    request = {"query": QUESTION, "question": QUESTION, "filters": filters}
    response = client.post(route, json=request)
    assert detail in assert_problem(response, 422, "invalid-request")["detail"]
