"""The local chat servers on the wire: format and timing of their responses."""

import json
import time
from typing import Any

import httpx
import pytest

from tests.servers.chat import replies
from tests.servers.chat.anthropic import AnthropicServer
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.openai import OpenAIServer
from tests.servers.chat.server import ChatServer

pytestmark = pytest.mark.process

SERVERS = [MistralServer, OpenAIServer, OllamaServer, AnthropicServer]


def payload(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Say it."}], **more}


def post(server: ChatServer, **more: Any) -> httpx.Response:
    return httpx.post(server.url + server.endpoint, json=payload(**more), timeout=10)


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The data of the events; asserts that they end with [DONE]."""
    *parts, done, rest = response.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def test_mistral_stream_starts_with_a_role_and_ends_with_finish_reason_and_usage() -> None:
    with MistralServer() as server:
        response = post(server, stream=True)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["transfer-encoding"] == "chunked"
    chunks = events(response)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [choice["delta"] for choice in choices] == [
        {"content": "", "role": "assistant"},
        {"content": "Say"},
        {"content": " it."},
        {"content": ""},
    ]
    assert [choice["finish_reason"] for choice in choices] == [None, None, None, "stop"]
    usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    assert [chunk.get("usage") for chunk in chunks] == [None, None, None, usage]


def test_mistral_streams_content_blocks() -> None:
    blocks = [{"type": "text", "text": "Use a "}, {"type": "text", "text": "VPC."}]
    with MistralServer() as server:
        server.default = replies.answer(blocks)
        chunks = events(post(server, stream=True))
        whole = post(server).json()

    deltas = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert deltas == ["", [blocks[0]], [blocks[1]], ""]
    assert whole["choices"][0]["message"]["content"] == blocks


def test_openai_sends_usage_in_a_separate_chunk_if_requested() -> None:
    with OpenAIServer() as server:
        plain = events(post(server, stream=True))
        counted = events(post(server, stream=True, stream_options={"include_usage": True}))

    assert not any("usage" in chunk for chunk in plain)
    assert [chunk["usage"] for chunk in counted[:-1]] == [None] * 4
    assert counted[-1]["choices"] == []
    assert counted[-1]["usage"]["total_tokens"] == 4
    assert plain[-1]["choices"][0]["finish_reason"] == "stop"


def test_ollama_streams_lines_by_default() -> None:
    with OllamaServer() as server:
        response = post(server)
        whole = post(server, stream=False).json()

    assert response.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["message"]["content"] for line in lines] == ["Say", " it.", ""]
    assert [line["done"] for line in lines] == [False, False, True]
    for last in (lines[-1], whole):
        assert (last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == (
            "stop",
            2,
            2,
        )
    assert whole["message"]["content"] == "Say it."


def test_anthropic_names_its_events_and_counts_the_system_prompt() -> None:
    with AnthropicServer() as server:
        response = post(server, stream=True, system="Be short.")

    named = [part.split("\ndata: ") for part in response.text.split("\n\n") if part]
    assert [name for name, _ in named] == [
        "event: message_start",
        "event: content_block_start",
        "event: ping",
        "event: content_block_delta",
        "event: content_block_delta",
        "event: content_block_stop",
        "event: message_delta",
        "event: message_stop",
    ]
    assert all(name == f"event: {json.loads(data)['type']}" for name, data in named)
    assert json.loads(named[-2][1])["usage"] == {"input_tokens": 4, "output_tokens": 2}


@pytest.mark.parametrize("kind", SERVERS)
def test_connection_is_reused_for_several_calls(kind: type[ChatServer]) -> None:
    with kind() as server, httpx.Client(base_url=server.url) as http:
        server.script(replies.failed(500), replies.unfinished_after(1), replies.error_after(1))
        for stream in (True, True, True, True, False, False):
            http.post(server.endpoint, json=payload(stream=stream)).read()

        assert (server.connections, len(server.requests), server.left) == (1, 6, 0)
        server.reset()
        assert (server.connections, server.requests) == (0, [])


@pytest.mark.parametrize("kind", SERVERS)
def test_unknown_path_is_404(kind: type[ChatServer]) -> None:
    with kind() as server:
        elsewhere = httpx.post(f"{server.url}/elsewhere", json=payload(stream=True))
        with_query = httpx.post(f"{server.url}{server.endpoint}?beta=true", json=payload())

    assert (elsewhere.status_code, with_query.status_code) == (404, 200)


async def test_pieces_are_sent_one_by_one_and_the_end_with_the_last() -> None:
    received: list[float] = []
    with OllamaServer() as server:
        server.default = replies.answer("one two three", delay=0.5, between=0.5)
        started = time.monotonic()
        async with (
            httpx.AsyncClient() as http,
            http.stream("POST", server.url + server.endpoint, json=payload()) as response,
        ):
            async for _ in response.aiter_lines():
                received.append(time.monotonic() - started)

    assert len(received) == 4
    assert received[0] >= 0.5
    assert received[1] - received[0] > 0.25
    assert received[2] - received[1] > 0.25
    assert received[3] - received[2] < 0.25


def test_server_stops_immediately_during_a_stream() -> None:
    with httpx.Client() as http:
        with MistralServer() as server:
            server.default = replies.answer("word " * 500, between=0.1)
            url = server.url + server.endpoint
            request = http.build_request("POST", url, json=payload(stream=True))
            lines = http.send(request, stream=True).iter_lines()
            next(lines)
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 1
        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
