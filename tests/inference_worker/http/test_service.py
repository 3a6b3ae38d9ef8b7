"""The HTTP contract: responses and error documents of each route."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.embeddings import Embeddings

from database.index.fingerprint import Fingerprint
from database.index.store import open_store
from tests.files.pages import WordEmbeddings, builder, write_pages
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer, failed, rate_limited, silence
from tests.servers.chroma import ChromaServer
from tests.servers.service import FOREIGN, QUESTION, REFUSAL, Service, serve, until, with_mistral
from utils.errors import IndexMismatchError, ModelError

pytestmark = pytest.mark.process

AS_JSON = {"content-type": "application/json"}
FILTERED = {"documents": ["*.md"], "title": "train", "formats": ["markdown"]}


@pytest.fixture
def client(keyless: Service) -> httpx.Client:
    return keyless.http


@pytest.fixture
def written(database: str, mistral: MistralServer) -> Iterator[httpx.Client]:
    """The service with a language model."""
    with serve(database, **with_mistral(mistral)) as running:
        yield running.http


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/inference_endpoint", params={"message": QUESTION})


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
    response = ask(client)

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


def test_answer_without_a_key_quotes_and_says_so(client: httpx.Client) -> None:
    body = client.post("/v1/answers", json={"question": QUESTION}).json()

    answer, citation = body["answer"], body["citations"][0]
    assert answer.startswith(f"**{citation['title']} > {citation['headings'][0]}**\n\n")
    assert answer[citation["start"] :].startswith(f"[1] {citation['title']}: {citation['url']}")
    assert answer.rpartition("\n\n")[2] == (
        "(Quoted from the AWS documentation of Amazon SageMaker. With an API key for a language "
        "model, the model would write the answer.)"
    )
    assert citation["number"] == 1
    assert citation["document"] == body["docs"][0] == body["passages"][0]["document"]
    assert body["unsupported"] == []


def test_search_returns_confidence_and_answerability(client: httpx.Client) -> None:
    covered = client.post("/v1/search", json={"query": QUESTION}).json()
    foreign = client.post("/v1/search", json={"query": FOREIGN}).json()

    assert covered["answerable"] is True
    assert foreign["answerable"] is False
    assert 0 <= foreign["confidence"] < covered["confidence"] <= 1
    assert len(foreign["passages"]) == 8  # the nearest passages are returned anyway


def test_unanswerable_question_returns_a_refusal_without_an_llm_call(
    written: httpx.Client, mistral: MistralServer
) -> None:
    body = written.post("/v1/answers", json={"question": FOREIGN}).json()

    assert body["answerable"] is False
    assert body["answer"].startswith(REFUSAL)
    assert body["passages"][0]["title"] in body["answer"]
    assert body["degraded"] is False
    assert mistral.requests == []


@pytest.mark.parametrize(("least", "answerable"), [(0.0, True), (1.0, False)])
def test_min_confidence_sets_the_answerability_threshold(
    database: str, least: float, answerable: bool
) -> None:
    with serve(database, min_confidence=least) as running:
        for question in (QUESTION, FOREIGN):
            response = running.http.post("/v1/answers", json={"question": question})

            assert response.json()["answerable"] is answerable


def test_search_returns_passages_by_descending_score(client: httpx.Client) -> None:
    body = client.post("/v1/search", json={"query": QUESTION, "top_k": 3}).json()

    scores = [passage["score"] for passage in body["passages"]]
    assert body["query"] == QUESTION
    assert scores == sorted(scores, reverse=True)
    assert body["passages"][0]["document"] == "endpoints.md"
    assert body["passages"][0]["headings"] == ["Encrypt an endpoint"]


@pytest.mark.parametrize("message", [None, "", "   ", "\n\t", "x" * 4001])
def test_missing_blank_and_too_long_messages_are_refused(
    client: httpx.Client, message: str | None
) -> None:
    params = {} if message is None else {"message": message}
    response = client.post("/inference_endpoint", params=params)

    problem = assert_problem(response, 422, "invalid-request")
    assert problem["detail"].startswith("message: ")


def test_message_of_maximum_length_is_answered(client: httpx.Client) -> None:
    assert client.post("/inference_endpoint", params={"message": "x" * 4000}).status_code == 200


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "body: "),
        (b"{", "body: JSON"),
        (b'{"question": "a",}', "body: JSON"),
        (b"[]", "body: "),
        (b'{"question": 7}', "question: "),
        (b'{"question": ""}', "question: "),
        (b'{"question": "a", "top_k": 0}', "top_k: "),
        (b'{"question": "a", "top_k": 101}', "top_k: "),
        (b'{"question": "a", "stream": "perhaps"}', "stream: "),
        (b'{"question": "\\ud800"}', "question: "),
        (b'{"question": "a", "stream": 0}', "stream: "),
        (b'{"question": "a", "top_k": "3"}', "top_k: "),
        (b'{"question": "a", "top_k": true}', "top_k: "),
        (b'{"question": "a", "strem": true}', "strem: "),
        (b'{"question": "a", "filters": {"documnts": ["a"]}}', "filters.documnts: "),
        (b'{"question": "a", "\\ud800": 1}', "body: "),
        (b'{"question": "a", "' + b"x" * 5000 + b'": 1}', "x" * 200 + ": "),
    ],
)
def test_invalid_question_body_is_refused(client: httpx.Client, body: bytes, detail: str) -> None:
    response = client.post("/v1/answers", content=body, headers=AS_JSON)

    assert assert_problem(response, 422, "invalid-request")["detail"].startswith(detail)


def test_body_that_is_not_utf_8_is_refused(client: httpx.Client) -> None:
    response = client.post("/v1/answers", content=b'{"question": "\xff"}', headers=AS_JSON)

    assert_problem(response, 400, "bad-request")


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/search"])
def test_unknown_parameter_is_refused_by_name(client: httpx.Client, path: str) -> None:
    body = {"query": QUESTION} if path == "/v1/search" else {"question": QUESTION}
    response = client.post(path, params={"stream": "true"}, json=body)

    assert assert_problem(response, 422, "invalid-request")["detail"].startswith("stream: ")


def test_original_contract_ignores_unknown_parameters(client: httpx.Client) -> None:
    response = client.post("/inference_endpoint", params={"message": QUESTION, "lang": "en"})

    assert response.status_code == 200
    assert response.json().keys() == {"answer", "docs"}


def test_unknown_routes_and_methods_are_problem_documents(client: httpx.Client) -> None:
    assert_problem(client.get("/nope"), 404, "not-found")
    assert_problem(client.get("/inference_endpoint"), 405, "method-not-allowed")


def test_valid_request_id_is_echoed_and_an_invalid_one_replaced(client: httpx.Client) -> None:
    kept = client.get("/healthz", headers={"x-request-id": "abc-123"})
    replaced = client.get("/healthz", headers={"x-request-id": "no spaces <b>"})

    assert kept.headers["x-request-id"] == "abc-123"
    assert replaced.headers["x-request-id"] != "no spaces <b>"


def test_health_and_readiness_report_store_index_and_model(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    ask(client)

    body = client.get("/readyz").json()

    assert body["ready"] is True
    checks = {name: check["ok"] for name, check in body["checks"].items()}
    assert checks == {"store": True, "index": True, "model": True}
    assert body["index"]["documents"] == 5


def test_swagger_page_loads_only_local_assets(client: httpx.Client) -> None:
    page = client.get("/docs").text

    assert "swagger-ui" in page
    assert "://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/static-offline-docs/{asset}").status_code == 200


def test_missing_index_is_503_until_it_is_built(tmp_path: Path) -> None:
    database = str(tmp_path / "index")
    with serve(database) as running:
        response = ask(running.http)
        problem = assert_problem(response, 503, "index-missing")
        assert response.headers["retry-after"]
        assert str(tmp_path) not in str(problem)
        assert running.http.get("/readyz").status_code == 503
        assert running.http.get("/readyz").json()["checks"]["index"]["ok"] is False
        assert running.http.get("/healthz").status_code == 200

        with closing(open_store(database, create=True)) as store:
            builder(store).build(write_pages(tmp_path / "pages"))

        running.wait_until_ready()
        assert ask(running.http).status_code == 200


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

    with serve(database, load) as running:
        response = ask(running.http)

        assert_problem(response, 503, slug)
        assert "/secret/folder" not in response.text
        body = running.http.get("/readyz").json()
        assert body["checks"]["model"]["ok"] is False
        assert body["checks"]["store"]["ok"] is True
        assert "/secret/folder" not in str(body)


@pytest.mark.parametrize("max_exact_chunks", [100_000, 0])
def test_service_recovers_from_a_store_outage(
    chroma_server: ChromaServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    max_exact_chunks: int,
) -> None:
    monkeypatch.setattr("database.reading.read_corpus.MAX_EXACT_CHUNKS", max_exact_chunks)
    with closing(open_store(chroma_server.url)) as store:
        builder(store).build(write_pages(tmp_path / "pages"))
    with serve(chroma_server.url) as running:
        before = ask(running.http)
        assert before.status_code == 200

        chroma_server.kill()
        if max_exact_chunks:
            until(lambda: running.http.get("/readyz").status_code == 503)
            assert ask(running.http).json() == before.json()
        else:
            assert_problem(ask(running.http), 503, "store-unreachable")

        chroma_server.start()
        running.wait_until_ready()
        assert ask(running.http).json() == before.json()


def test_unexpected_error_is_500_without_details(database: str) -> None:
    class Broken(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            if text == "warm up":
                return super().embed_query(text)
            raise RuntimeError("a secret internal detail")

    with serve(database, lambda fingerprint: Broken()) as running:
        response = ask(running.http)

    assert response.status_code == 500
    assert response.json()["type"].endswith(":internal-error")
    assert "secret" not in response.text


def test_language_model_writes_the_answer_in_one_call(
    written: httpx.Client, mistral: MistralServer
) -> None:
    mistral.script(answer("The volume is encrypted with `KmsKeyId` [1]."))
    body = written.post("/v1/answers", json={"question": QUESTION}).json()

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
    with serve(database, **with_mistral(mistral, inference_timeout=1.5)) as running:
        response = running.http.post("/v1/answers", json={"question": QUESTION})

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


@pytest.mark.parametrize("route", ["/v1/search", "/v1/answers"])
@pytest.mark.parametrize("has_length", [True, False])
def test_oversized_body_is_refused_with_or_without_content_length(
    database: str, route: str, has_length: bool
) -> None:
    with serve(database, max_body_bytes=100_000) as running:
        content = b" " * 100_001 if has_length else (b" " * 1000 for _ in range(101))
        response = running.http.post(route, content=content)

    problem = assert_problem(response, 413, "body-too-large")
    assert problem["detail"] == "Send at most 100,000 bytes."


def test_body_within_the_limit_is_accepted(database: str) -> None:
    padded = b" " * 90_000 + b'{"query": "endpoint"}'
    with serve(database, max_body_bytes=100_000) as running:
        response = running.http.post("/v1/search", content=padded, headers=AS_JSON)

    assert response.status_code == 200


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
    with serve(database, min_confidence=0.0, **with_mistral(mistral)) as running:
        for filters in (None, FILTERED, {"title": "endpoint"}, FILTERED):
            running.http.post("/v1/answers", json={"question": QUESTION, "filters": filters})

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


@pytest.mark.parametrize("text", ["Hello", "thanks!", "What can you do?"])
def test_small_talk_is_answered_without_a_search_or_the_model(
    written: httpx.Client, mistral: MistralServer, text: str
) -> None:
    body = written.post("/v1/answers", json={"question": text}).json()

    assert body["answer"].startswith("This service answers questions about Amazon SageMaker")
    assert (body["searches"], body["passages"], body["docs"]) == ([], [], [])
    assert (body["answerable"], body["degraded"]) == (True, False)
    assert not mistral.requests
