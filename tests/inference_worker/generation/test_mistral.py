"""The Mistral client, against a server that implements Mistral's API over HTTP."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from inference_worker.answer import TokenUsage
from inference_worker.generation.language_model import Generation
from tests.inference_worker.generation.connected_model import KEY, QUESTION, connected_model
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from utils.errors import GenerationError

pytestmark = pytest.mark.process


@pytest.fixture
def server() -> Iterator[MistralServer]:
    with MistralServer() as running:
        yield running


async def test_an_answer_is_one_call_at_temperature_zero(server: MistralServer) -> None:
    server.script(replies.answer(" A group of samples [1].\n"))
    async with connected_model("mistralai", server) as mistral:
        assert (await mistral.generate(QUESTION)).text == "A group of samples [1]."
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "mistral-test"
    assert request.body["temperature"] == 0
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]


async def test_content_blocks_become_text(server: MistralServer) -> None:
    blocks = [{"type": "text", "text": "Use a "}, {"type": "text", "text": "VPC."}]
    server.script(replies.answer(blocks))
    async with connected_model("mistralai", server) as mistral:
        assert (await mistral.generate(QUESTION)).text == "Use a VPC."


async def test_usage_in_a_chunk_without_choices_is_counted(server: MistralServer) -> None:
    server.has_usage_apart = True
    text = 'An empty list is `{"choices": []}` or "choices":[] in JSON.'
    server.script(replies.answer(text))
    async with connected_model("mistralai", server) as mistral:
        *pieces, generation = [each async for each in mistral.stream(QUESTION)]
    assert "".join(map(str, pieces)) == text
    assert isinstance(generation, Generation)
    assert generation.finish_reason == "stop"
    assert generation.usage == TokenUsage(6, len(text.split()))


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(server: MistralServer, as_date: bool) -> None:
    date = int(time.time() + 2)
    limit = replies.rate_limited_until(2) if as_date else replies.rate_limited("1")
    server.script(limit, replies.answer("Yes."))
    async with connected_model("mistralai", server) as mistral:
        assert (await mistral.generate(QUESTION)).text == "Yes."
    first, second = server.requests
    if as_date:
        assert time.time() >= date - 0.01
    else:
        assert second.time - first.time >= 0.95


@pytest.mark.parametrize("retry_after", ["soon", "-5", "", "nan", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_invalid_retry_after_is_ignored(server: MistralServer, retry_after: str) -> None:
    server.script(replies.rate_limited(retry_after), replies.answer("Yes."))
    async with connected_model("mistralai", server) as mistral:
        assert (await mistral.generate(QUESTION)).text == "Yes."


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfenothing",
        b"[]",
        b'"text"',
        b'{"choices": []}',
        b'{"choices": [{"message": {"role": "SECRET", "content": "x"}}]}',
        b'{"choices": [{"message": {"role": "assistant", "content": 5}}]}',
        b'{"object": "error", "message": "SECRET"}',
        b"[" * 100_000,
    ],
)
async def test_unreadable_body_is_tried_twice_and_never_quoted(
    server: MistralServer, content: bytes
) -> None:
    server.default = replies.body(content)
    async with connected_model("mistralai", server) as mistral:
        with pytest.raises(GenerationError) as caught:
            await mistral.generate(QUESTION)
    assert str(caught.value) == "the language model's answer could not be read"
    assert caught.value.__cause__ is None
    assert len(server.requests) == 2


async def test_silent_server_times_out_within_the_total_time(server: MistralServer) -> None:
    server.default = replies.silence()
    started = time.monotonic()
    async with connected_model("mistralai", server, seconds=1.5) as mistral:
        with pytest.raises(
            GenerationError, match=r"^the language model did not answer within 1.5 s$"
        ):
            await mistral.generate(QUESTION)
    assert 1.4 < time.monotonic() - started < 3
    assert len(server.requests) == 2


async def test_hanging_call_leaves_time_for_a_retry(server: MistralServer) -> None:
    server.script(replies.silence(), replies.answer("Yes."))
    async with connected_model("mistralai", server, seconds=1.5) as mistral:
        assert (await mistral.generate(QUESTION)).text == "Yes."


@pytest.mark.parametrize(("concurrency", "calls", "delay"), [(256, 64, 0.5), (2, 8, 0.05)])
async def test_calls_run_concurrently_up_to_the_limit(
    server: MistralServer, concurrency: int, calls: int, delay: float
) -> None:
    server.default = replies.answer("Yes.", delay=delay)
    async with connected_model("mistralai", server, concurrency=concurrency) as mistral:
        answers = await asyncio.gather(*(mistral.generate(QUESTION) for _ in range(calls)))
    assert [each.text for each in answers] == ["Yes."] * calls
    assert server.max_in_flight == min(calls, concurrency)
    assert len(server.requests) == calls


async def test_waiting_for_a_slot_counts_against_the_deadline(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=1.6)
    async with connected_model("mistralai", server, seconds=2.5, concurrency=1) as mistral:
        outcomes = await asyncio.gather(
            *(mistral.generate(QUESTION) for _ in range(2)), return_exceptions=True
        )
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [str(error) for error in failed] == ["the language model did not answer within 2.5 s"]


async def test_call_that_would_wait_too_long_is_refused_immediately(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=1.2)
    async with connected_model("mistralai", server, seconds=2.0, concurrency=1) as mistral:
        await mistral.generate(QUESTION)  # sets the expected duration of a call
        under_way = asyncio.create_task(mistral.generate(QUESTION))
        await asyncio.sleep(0.05)
        with pytest.raises(GenerationError, match="the language model is busy"):
            await mistral.generate(QUESTION)
        assert not under_way.done()
        assert (await under_way).text == "Yes."

    assert len(server.requests) == 2
