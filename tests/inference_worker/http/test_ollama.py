"""The service with OLLAMA_URL: quotes until the server has the model, which then writes."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.chat import replies
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.ollama_image import QUERIES, reply_to
from tests.servers.service import QUESTION, Service, serve, until
from utils.benchmark.processes import free_port

pytestmark = pytest.mark.process


def asked(service: Service) -> dict[str, Any]:
    response = service.http.post("/v1/answers", json={"question": QUESTION})
    body: dict[str, Any] = response.raise_for_status().json()
    return body


def test_without_a_server_answers_are_quoted_and_not_degraded(database: str) -> None:
    with serve(database, ollama_url=f"http://127.0.0.1:{free_port()}") as service:
        service.wait_until_ready()
        answer = asked(service)

    assert (answer["generator"], answer["degraded"]) == ("extractive", False)


def test_model_writes_once_it_is_pulled_and_may_search_again(database: str, tmp_path: Path) -> None:
    with OllamaServer(tmp_path / "models") as ollama:
        ollama.default = reply_to
        ollama.pull_seconds = 2
        with serve(database, ollama_url=ollama.url, ollama_model="small") as service:
            service.wait_until_ready()
            until(lambda: any(request.path == "/api/pull" for request in ollama.requests))
            early = asked(service)
            until(lambda: asked(service)["generator"] != "extractive")
            answer = asked(service)
        with serve(database, ollama_url=ollama.url, ollama_model="small") as service:
            service.wait_until_ready()
            until(lambda: asked(service)["generator"] != "extractive")

    assert early["degraded_reason"] == "the language model is not downloaded yet"
    assert answer["generator"] == "ollama:small"
    assert answer["coverage"] == "full"
    assert [each["query"] for each in answer["searches"]] == [QUESTION, *QUERIES]
    assert [request.path for request in ollama.requests].count("/api/pull") == 1


def test_server_that_stops_later_degrades_the_answers(database: str, tmp_path: Path) -> None:
    with OllamaServer(tmp_path / "models") as ollama:
        ollama.default = replies.answer("Set `KmsKeyId` [1].\nCOVERAGE: full")
        service = serve(database, ollama_url=ollama.url, answer_cache_size=0)
        with service:
            service.wait_until_ready()
            until(lambda: asked(service)["generator"] != "extractive")
            ollama.default = replies.hang_up()
            answer = asked(service)

    assert (answer["generator"], answer["degraded"]) == ("extractive", True)
