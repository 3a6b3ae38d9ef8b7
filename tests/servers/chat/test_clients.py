"""The local chat servers, validated with the real clients: answers and failures."""

import asyncio
import json
import time
from collections.abc import Iterator

import pytest

from tests.servers.chat import replies
from tests.servers.chat.clients import (
    ANTHROPIC,
    MISTRAL,
    OLLAMA,
    OPENAI,
    PROVIDERS,
    QUESTION,
    ClientResult,
    Provider,
    ask,
    client,
    collect_stream,
    status_of,
)
from tests.servers.chat.replies import SECRET, Reply, Request
from tests.servers.chat.server import ChatServer

pytestmark = pytest.mark.process

TEXT = "One two three four five six."
BROKEN = {"ReadError", "OpenAIConnectionError", "AnthropicConnectionError"}
CUT = {"RemoteProtocolError", "OpenAIConnectionError", "AnthropicConnectionError"}
LATE = {"ReadTimeout", "OpenAITimeoutError", "AnthropicTimeoutError"}


@pytest.fixture(params=PROVIDERS, ids=str)
def provider(request: pytest.FixtureRequest) -> Provider:
    chosen: Provider = request.param
    return chosen


@pytest.fixture
def server(provider: Provider) -> Iterator[ChatServer]:
    with provider.server() as running:
        yield running


async def both(
    provider: Provider, server: ChatServer, reply: Reply
) -> tuple[ClientResult, ClientResult]:
    """A client's results with and without streaming."""
    server.default = reply
    async with client(provider, server) as chat:
        return await collect_stream(chat), await ask(chat)


def kind(result: ClientResult) -> str:
    return type(result.error).__name__


async def test_answer_is_streamed_in_words_or_sent_whole(
    provider: Provider, server: ChatServer
) -> None:
    streamed, whole = await both(provider, server, replies.answer(TEXT))

    assert streamed.pieces == ["One", " two", " three", " four", " five", " six."]
    assert whole.pieces == [TEXT]
    for result in (streamed, whole):
        assert result.error is None
        assert result.metadata[provider.finish] == provider.finishes["stop"]
        assert result.usage["input_tokens"] == 5
        assert result.usage["output_tokens"] == 6
    assert [request.body["model"] for request in server.requests] == ["test-model"] * 2
    await server.idle()  # the server may finish after the client has the whole reply
    assert server.left == 0


async def test_pieces_are_sent_as_scripted(provider: Provider, server: ChatServer) -> None:
    pieces = ["`Create", "Endpoint", "` [", "1", "]\n", "é→"]
    streamed, whole = await both(provider, server, replies.answer(pieces=pieces))

    assert streamed.pieces == pieces
    assert whole.pieces == ["".join(pieces)]


async def test_truncated_answer_has_the_length_finish_reason(
    provider: Provider, server: ChatServer
) -> None:
    for result in await both(provider, server, replies.answer(TEXT, finish="length")):
        assert result.metadata[provider.finish] == provider.finishes.get("length", "length")


async def test_reply_can_be_computed_from_the_request(
    provider: Provider, server: ChatServer
) -> None:
    def obey(request: Request) -> Reply:
        assert isinstance(request.last_message, str)
        return replies.answer(request.last_message.removeprefix("Say ").upper())

    server.default = obey
    async with client(provider, server) as chat:
        assert (await ask(chat)).pieces == ["IT AGAIN."]
        server.script(replies.answer("Scripted."), lambda _: replies.answer("And made."))
        assert [(await ask(chat)).pieces for _ in range(3)] == [
            ["Scripted."],
            ["And made."],
            ["IT AGAIN."],
        ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 422, 429, 500, 503])
async def test_error_status_raises_before_the_stream_with_the_body(
    provider: Provider, server: ChatServer, status: int
) -> None:
    for result in await both(provider, server, replies.failed(status)):
        assert status_of(result.error) == status
        assert SECRET in str(result.error)
        assert result.pieces == []
    assert len(server.requests) == 2


async def test_too_long_prompt_is_refused_with_the_provider_s_message(
    provider: Provider, server: ChatServer
) -> None:
    words = {
        MISTRAL.name: "too large for model",
        OPENAI.name: "maximum context length",
        OLLAMA.name: "exceeds the context length",
        ANTHROPIC.name: "prompt is too long",
    }
    for result in await both(provider, server, replies.too_long()):
        assert status_of(result.error) == 400
        assert words[provider.name] in str(result.error)
        assert "SECRET" in str(result.error)
    if provider is OPENAI:
        assert getattr(result.error, "code", None) == "context_length_exceeded"


@pytest.mark.parametrize(
    ("reply", "pieces", "errors"),
    [
        (replies.broken_after(2, TEXT), ["One", " two"], BROKEN),
        (replies.broken_after(3, TEXT, between=0.02), ["One", " two", " three"], BROKEN),
        (replies.broken_after(0, TEXT), [], BROKEN),
        (replies.cut(), ["Say"], CUT),
        (replies.hang_up(), [], CUT),
    ],
    ids=["after 2", "after 3, slowly", "after 0", "cut", "hang up"],
)
async def test_broken_connection_raises_after_the_pieces_before_it(
    provider: Provider, server: ChatServer, reply: Reply, pieces: list[str], errors: set[str]
) -> None:
    streamed, whole = await both(provider, server, reply)

    assert streamed.pieces == pieces
    # Anthropic's client lets the errors of its HTTP client through while it streams.
    assert kind(streamed) in errors
    assert kind(whole) in errors
    assert server.left == 0


@pytest.mark.parametrize("reply", [replies.hangs_after(2, TEXT), replies.silence()])
async def test_hanging_reply_ends_with_the_client_s_timeout(
    provider: Provider, server: ChatServer, reply: Reply
) -> None:
    server.default = reply
    async with client(provider, server, seconds=1) as chat:
        streamed, whole = await asyncio.gather(collect_stream(chat), ask(chat))
        await server.idle()

    assert streamed.pieces == (["One", " two"] if reply.after else [])
    assert kind(streamed) in LATE
    assert kind(whole) in LATE
    assert server.left == 2


async def test_unfinished_answer_ends_without_an_error_or_finish_reason(
    provider: Provider, server: ChatServer
) -> None:
    streamed, whole = await both(provider, server, replies.unfinished_after(2, TEXT))

    assert streamed.pieces == ["One", " two"]
    assert whole.pieces == ["One two"]
    for result in (streamed, whole):
        assert result.error is None
        assert result.metadata.get(provider.finish) is None
    assert streamed.usage == {}


@pytest.mark.parametrize("garbage", ["{", "[]", '"text"'])
async def test_garbage_raises_an_unspecific_error(
    provider: Provider, server: ChatServer, garbage: str
) -> None:
    reply = replies.garbled_after(2, TEXT, garbage=garbage)
    streamed, whole = await both(provider, server, reply)

    assert streamed.pieces == ["One", " two"]
    assert isinstance(streamed.error, json.JSONDecodeError if garbage == "{" else AttributeError)
    assert isinstance(whole.error, ValueError | AttributeError)


async def test_error_event_raises_except_in_the_mistral_client(
    provider: Provider, server: ChatServer
) -> None:
    streamed, whole = await both(provider, server, replies.error_after(2, TEXT))

    assert streamed.pieces == ["One", " two"]
    if provider is MISTRAL:
        assert streamed.error is None
        assert provider.finish not in streamed.metadata
    else:
        assert kind(streamed) in {"APIError", "ResponseError", "APIStatusError"}
        assert SECRET in str(streamed.error)
        assert status_of(streamed.error) in {None, -1, 200}
    assert SECRET in str(whole.error)


async def test_empty_stream_raises(provider: Provider, server: ChatServer) -> None:
    for result in await both(provider, server, replies.empty_stream()):
        assert isinstance(result.error, ValueError)
        assert result.pieces == []


async def test_closing_the_stream_ends_the_call(provider: Provider, server: ChatServer) -> None:
    server.default = replies.answer("word " * 500, between=0.02)
    async with client(provider, server) as chat:
        words = chat.astream(QUESTION)
        async for chunk in words:
            if chunk.text:
                break
        assert (server.in_flight, server.left) == (1, 0)
        stopped = time.monotonic()
        await words.aclose()  # type: ignore[attr-defined]
        await server.idle()

        assert time.monotonic() - stopped < 0.5
        assert (server.in_flight, server.left) == (0, 1)


@pytest.mark.parametrize("streaming", [True, False])
async def test_cancelling_the_client_ends_the_call(
    provider: Provider, server: ChatServer, streaming: bool
) -> None:
    server.default = replies.answer(TEXT, delay=30)
    async with client(provider, server) as chat:
        call = asyncio.create_task(collect_stream(chat) if streaming else ask(chat))
        while not server.in_flight:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.idle()

    assert server.left == 1
