"""POST /v1/answers with `stream: true`: events, failures, disconnects, caching, stalled clients."""

import asyncio
import dataclasses
import json
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx
import httpx_sse
import pytest

from database.index.store import open_store
from database.reading.reader import Reader
from database.searching.passage import Findings
from inference_worker.app import create_app
from inference_worker.generation.language_model import LanguageModel
from inference_worker.http import event_stream
from tests.database.served_index import served_index
from tests.files.pages import PAGES, builder, write_pages
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.service import (
    FOREIGN,
    QUESTION,
    REFUSAL,
    CrashingModel,
    Service,
    disconnect_during_generation,
    load_words,
    serve,
    until,
    with_mistral,
)
from utils.settings import Settings

pytestmark = pytest.mark.process

TEXT = "The storage volume is encrypted with `KmsKeyId` [1]."

EventData = tuple[str, dict[str, Any]]
"""An event's name and data."""


class SharedReader(Reader):
    """Shared by the module's tests: opening an index takes longer than most of them."""

    search_seconds: ClassVar[float] = 0.0

    def search(self, *arguments: Any) -> Findings:
        time.sleep(self.search_seconds)
        return super().search(*arguments)

    def close(self) -> None:
        """Do nothing: the fixture closes the reader."""


@pytest.fixture(scope="module")
def reader(database: str) -> Iterator[Reader]:
    shared = SharedReader(lambda: open_store(database), load_words, database)
    shared.refresh()
    yield shared
    Reader.close(shared)


def serve_reader(reader: Reader, llm: LanguageModel | None = None, **settings: Any) -> Service:
    return Service(create_app(Settings(_env_file=None, **settings), reader=reader, llm=llm))


@pytest.fixture
def mistral(mistral: MistralServer) -> MistralServer:
    mistral.default = replies.answer(TEXT)
    return mistral


Written = Callable[..., Service]


@pytest.fixture
def written(reader: Reader, mistral: MistralServer) -> Written:
    """Creates the service with a language model and the given settings."""
    return lambda **settings: serve_reader(reader, **with_mistral(mistral, **settings))


@asynccontextmanager
async def http_client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=service.url, timeout=30) as http:
        yield http


async def events(
    http: httpx.AsyncClient, question: str = QUESTION, **more: Any
) -> AsyncGenerator[EventData, None]:
    """Send a question and yield its events."""
    body = {"question": question, "stream": True, **more}
    async with httpx_sse.aconnect_sse(http, "POST", "/v1/answers", json=body) as source:
        async for event in source.aiter_sse():
            yield event.event, json.loads(event.data)


def all_events(service: Service, question: str = QUESTION, **more: Any) -> list[EventData]:
    body = {"question": question, "stream": True, **more}
    with httpx_sse.connect_sse(service.http, "POST", "/v1/answers", json=body) as source:
        return [(event.event, json.loads(event.data)) for event in source.iter_sse()]


def final_answer(service: Service, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    name, data = all_events(service, question, **more)[-1]
    assert name == "answer"
    return data


def raw_stream(service: Service) -> httpx.Response:
    return service.http.post("/v1/answers", json={"question": QUESTION, "stream": True})


def metrics_of(service: Service) -> str:
    return service.http.get("/metrics").text


def text_of(received: Sequence[EventData]) -> str:
    return "".join(data["text"] for name, data in received if name == "token")


def test_stream_sends_passages_then_tokens_then_the_complete_answer(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.answer(TEXT, between=0.03)
    with written() as service:
        received = all_events(service, top_k=3)
        body = {"question": QUESTION, "top_k": 3}
        whole = service.http.post("/v1/answers", json=body).json()

    names = [name for name, _ in received]
    assert names[0] == "passages"
    assert names[-1] == "answer"
    assert set(names[1:-1]) == {"token"}
    assert len(names) > 5
    assert text_of(received) == TEXT == received[-1][1]["answer"]
    assert len(received[0][1]["passages"]) == 3
    changing = {"timings", "cached", "usage"}
    assert {key: value for key, value in received[-1][1].items() if key not in changing} == {
        key: value for key, value in whole.items() if key not in changing
    }


def test_headers_forbid_proxies_to_buffer_or_cache_the_stream(written: Written) -> None:
    with written() as service:
        response = raw_stream(service)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert "no-cache" in response.headers["cache-control"]
    assert response.headers["x-request-id"]
    assert "content-length" not in response.headers


def test_extractive_answer_streams_the_same_events(reader: Reader) -> None:
    with serve_reader(reader) as service:
        received = all_events(service)

    assert [received[0][0], received[-1][0]] == ["passages", "answer"]
    assert received[-1][1]["generator"] == "extractive"
    assert text_of(received).rstrip() == received[-1][1]["answer"]
    assert "KmsKeyId" in text_of(received)
    assert "[1]" in text_of(received)


def test_unanswerable_question_streams_a_refusal_without_an_llm_call(
    written: Written, mistral: MistralServer
) -> None:
    with written() as service:
        received = all_events(service, FOREIGN)

    assert received[0][1]["answerable"] is False
    assert text_of(received) == received[-1][1]["answer"]
    assert text_of(received).startswith(REFUSAL)
    assert mistral.requests == []


def test_invalid_citations_are_removed_from_the_stream(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.answer(
        pieces=["So it is [", "1", "] and so [9", "9]. Also 【", "1】", " and [1, ", "77]."],
        between=0.01,
    )
    with written() as service:
        received = all_events(service)

    answer = received[-1][1]
    assert text_of(received) == answer["answer"] == "So it is [1] and so. Also [1] and [1]."
    assert answer["removed_citations"] == 2
    assert [each["number"] for each in answer["citations"]] == [1, 1, 1]
    for each in answer["citations"]:
        assert answer["answer"][each["start"] : each["end"]] == "[1]"
        assert each["document"] == answer["passages"][0]["document"]
        assert each["quote"] in answer["passages"][0]["text"]


@pytest.mark.parametrize(
    "trouble",
    [
        replies.broken_after(3, TEXT, between=0.02),
        replies.unfinished_after(3, TEXT),
        replies.garbled_after(3, TEXT),
        replies.hangs_after(3, TEXT),
    ],
    ids=["reset", "unfinished", "garbled", "hangs"],
)
def test_interrupted_llm_stream_ends_with_an_extractive_answer(
    written: Written, mistral: MistralServer, trouble: replies.Reply
) -> None:
    mistral.default = trouble
    with written(inference_timeout=1.5) as service:
        received = all_events(service)

    answer = received[-1][1]
    assert received[-1][0] == "answer"
    assert (answer["generator"], answer["degraded"]) == ("extractive", True)
    assert "broke off" in answer["degraded_reason"]
    assert "KmsKeyId" in answer["answer"]
    assert answer["answer"] != text_of(received)
    assert replies.SECRET not in str(received)


def test_llm_failure_before_the_first_token_streams_an_extractive_answer(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.refused_key()
    with written() as service:
        received = all_events(service)

    assert received[-1][1]["degraded"] is True
    assert text_of(received).rstrip() == received[-1][1]["answer"]


def test_too_long_prompt_is_retried_with_fewer_passages(
    written: Written, mistral: MistralServer
) -> None:
    shown: list[int] = []

    def picky(request: replies.Request) -> replies.Reply:
        shown.append(str(request.last_message).count("<passage>"))
        return replies.too_long() if shown[-1] > 1 else replies.answer(TEXT)

    mistral.default = picky
    with written() as service:
        answer = final_answer(service, top_k=4)

    assert answer["answer"] == TEXT
    assert answer["degraded"] is False
    assert shown[0] > 1
    assert shown[-1] == 1


def test_missing_index_is_a_503_response_instead_of_a_stream(tmp_path: Path) -> None:
    with serve(str(tmp_path / "nothing")) as service:
        response = raw_stream(service)

    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"


def test_unexpected_error_during_a_stream_is_the_last_event(reader: Reader) -> None:
    with serve_reader(reader, CrashingModel()) as service:
        received = all_events(service)

    name, problem = received[-1]
    assert name == "error"
    assert problem["type"].endswith(":internal-error")
    assert problem["status"] == 500
    assert problem["request_id"]
    assert "secret" not in str(received)


@pytest.mark.parametrize("stream", [True, False])
async def test_client_disconnect_cancels_the_llm_call(
    written: Written, mistral: MistralServer, stream: bool
) -> None:
    mistral.default = replies.silence()
    with written() as service:
        async with http_client(service) as http:
            body = {"question": QUESTION, "stream": stream}
            await disconnect_during_generation(http.post("/v1/answers", json=body), mistral)
        await mistral.idle(within=1)

        assert mistral.left == 1
        until(lambda: "docsqa_llm_calls 0.0" in metrics_of(service), within=1)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/answers", {"question": QUESTION}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}]}),
    ],
)
def test_client_disconnect_before_the_first_event_prevents_the_llm_call(
    written: Written,
    mistral: MistralServer,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    body: dict[str, Any],
) -> None:
    monkeypatch.setattr(SharedReader, "search_seconds", 1.0)
    mistral.default = replies.answer("word " * 40, between=0.05)
    with written() as service:
        with pytest.raises(httpx.ReadTimeout):
            service.http.post(route, json=body | {"stream": True}, timeout=0.3)
        time.sleep(1.5)  # longer than the search takes

        assert mistral.requests == []
        metrics = metrics_of(service)
        assert f'docsqa_request_seconds_count{{route="{route}",status="499"}} 1.0' in metrics
        assert "docsqa_answers_shared 0.0" in metrics


async def test_concurrent_equal_questions_share_one_llm_call_until_the_last_client_disconnects(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("word " * 40, between=0.05)
    with written() as service:
        async with http_client(service) as one, http_client(service) as other:
            first, second = events(one), events(other, f" {QUESTION} ")
            assert (await anext(first))[0] == "passages"
            assert (await anext(first))[0] == "token"
            assert (await anext(second))[0] == "passages"
            await first.aclose()
            rest = [name async for name, _ in second]

            assert rest[-1] == "answer"
            assert len(mistral.requests) == 1
            assert mistral.left == 0

            alone = events(one, f"{QUESTION} Once more?")
            await anext(alone)
            await anext(alone)
            await alone.aclose()
            await mistral.idle(within=1)
            assert mistral.left == 1


def test_repeated_question_is_answered_from_the_cache(
    written: Written, mistral: MistralServer
) -> None:
    with written() as service:
        first = final_answer(service)
        received = all_events(service, f"  {QUESTION}")
        other = final_answer(service, top_k=2)

    again = received[-1][1]
    assert (first["cached"], again["cached"], other["cached"]) == (False, True, False)
    assert first["usage"]["input_tokens"] > 0
    assert again["usage"] is None
    assert text_of(received) == again["answer"] == first["answer"]
    assert again["citations"] == first["citations"]
    assert len(mistral.requests) == 2


def test_degraded_answer_is_not_cached(written: Written, mistral: MistralServer) -> None:
    mistral.script(replies.refused_key())
    with written() as service:
        failed, after = final_answer(service), final_answer(service)

    assert (failed["degraded"], after["degraded"], after["cached"]) == (True, False, False)


def test_cache_size_zero_disables_caching(written: Written, mistral: MistralServer) -> None:
    with written(answer_cache_size=0) as service:
        assert [final_answer(service)["cached"] for _ in range(2)] == [False, False]

    assert len(mistral.requests) == 2


def test_answer_from_an_older_index_is_not_served_from_the_cache(
    tmp_path: Path, mistral: MistralServer
) -> None:
    with served_index(tmp_path) as database, serve(database, **with_mistral(mistral)) as service:
        before = final_answer(service)
        with closing(open_store(database)) as store:
            more = PAGES | {"new.md": "# News\n\nThere is a new page.\n"}
            builder(store).build(write_pages(tmp_path / "pages", more))
        deadline = time.monotonic() + 10
        after = before
        while after["corpus"]["revision"] == before["corpus"]["revision"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            after = final_answer(service)

    assert after["cached"] is False
    assert after["corpus"]["documents"] == before["corpus"]["documents"] + 1


def test_idle_stream_sends_heartbeats(
    written: Written, mistral: MistralServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.2)
    mistral.default = replies.answer(TEXT, delay=1.0)
    with written() as service:
        response = raw_stream(service)

    assert response.text.count(": ping\n\n") >= 2
    assert "event: answer\n" in response.text


@pytest.mark.parametrize(
    "reply",
    [
        replies.answer(pieces=["x" * 200_000] * 200, between=0.01),
        replies.hangs_after(1, "x" * 20_000_000),
    ],
    ids=["sending", "silent"],
)
def test_stalled_client_is_disconnected(
    written: Written, mistral: MistralServer, monkeypatch: pytest.MonkeyPatch, reply: replies.Reply
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(event_stream, "STALLED_SECONDS", 0.5)
    mistral.default = reply
    with written() as service:
        with unread_stream(service):
            until(lambda: bool(mistral.left))
            until(lambda: 'route="/v1/answers"' in metrics_of(service))  # counted when it ends
        assert "docsqa_answers_shared 0.0" in metrics_of(service)


def test_answer_of_only_invalid_citations_is_replaced_by_an_extractive_one(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("[99]")
    with written() as service:
        answer = final_answer(service)

    assert "KmsKeyId" in answer["answer"]
    assert answer["degraded_reason"] == "the language model gave an empty answer"


def test_shorter_prompts_share_one_time_budget(written: Written, mistral: MistralServer) -> None:
    mistral.default = replies.silence()
    mistral.script(dataclasses.replace(replies.too_long(), delay=1.2))
    with written(inference_timeout=2.0) as service:
        answer = final_answer(service)

    assert answer["degraded"] is True
    assert answer["timings"]["generate"] < 2800


async def test_unstreamed_question_shares_the_llm_call_of_an_equal_streamed_one(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.answer("word " * 20 + "[1]", between=0.03)
    with written() as service:
        async with http_client(service) as http:
            streamed = events(http)
            await anext(streamed)
            plain = asyncio.create_task(http.post("/v1/answers", json={"question": QUESTION}))
            received = [event async for event in streamed]

            assert (await plain).json()["answer"] == received[-1][1]["answer"]
    assert len(mistral.requests) == 1


def test_oversized_body_is_refused_on_a_route_without_a_body(
    written: Written, mistral: MistralServer
) -> None:
    mistral.default = replies.silence()
    with written() as service:
        response = service.http.post(
            "/inference_endpoint", params={"message": QUESTION}, content=b"x" * 3_000_000
        )

    assert response.status_code == 413


@contextmanager
def unread_stream(service: Service) -> Iterator[None]:
    """Request a stream without reading from the connection."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    body = json.dumps({"question": QUESTION, "stream": True}).encode()
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/answers HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        yield


def test_full_width_characters_are_normalized_for_search_prompt_and_cache(
    written: Written, mistral: MistralServer
) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in QUESTION)
    with written() as service:
        first, again = final_answer(service, wide), final_answer(service)

    assert QUESTION in str(mistral.requests[0].last_message)
    assert first["confidence"] == again["confidence"]
    assert again["cached"] is True
