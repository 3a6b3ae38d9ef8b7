"""The Mistral client, against a server that implements Mistral's API over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr
from tenacity import wait_none

from inference_worker.answer import TokenUsage
from inference_worker.generation import language_model
from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.providers import language_model_from
from tests.servers.chat import mistral as replies
from tests.servers.chat.mistral import MistralServer, Reply
from utils.errors import GenerationError, SettingsError
from utils.settings import Settings

pytestmark = pytest.mark.process

KEY = "test-key-7f3a"
QUESTION: list[BaseMessage] = [SystemMessage("Be short."), HumanMessage("What is a batch?")]


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry immediately, except after a Retry-After header."""
    monkeypatch.setattr(language_model, "BACKOFF", wait_none())


@pytest.fixture
def server() -> Iterator[MistralServer]:
    with MistralServer() as running:
        yield running


@asynccontextmanager
async def client(
    url: str, *, seconds: float = 10.0, concurrency: int = 256
) -> AsyncIterator[LanguageModel]:
    mistral = language_model_from(
        Settings(
            _env_file=None,
            mistral_api_key=SecretStr(KEY),
            mistral_base_url=url,
            inference_model="mistral-test",
            inference_timeout=seconds,
            inference_concurrency=concurrency,
        )
    )
    assert mistral is not None
    try:
        yield mistral
    finally:
        await mistral.aclose()


async def failure(server: MistralServer, *, seconds: float = 10.0) -> str:
    async with client(server.url, seconds=seconds) as mistral:
        with pytest.raises(GenerationError) as caught:
            await mistral.generate(QUESTION)
    return str(caught.value)


def test_without_a_key_there_is_no_model() -> None:
    assert language_model_from(Settings(_env_file=None, mistral_api_key=None)) is None


def test_unsendable_key_is_an_error_that_does_not_show_it() -> None:
    settings = Settings(_env_file=None, mistral_api_key=SecretStr("kéy\nkey"))
    with pytest.raises(SettingsError, match="MISTRAL_API_KEY") as caught:
        language_model_from(settings)
    assert "kéy" not in str(caught.value)


async def test_an_answer_is_one_call_at_temperature_zero(server: MistralServer) -> None:
    server.script(replies.answer(" A group of samples [1].\n"))
    async with client(server.url) as mistral:
        generation = await mistral.generate(QUESTION)
    assert generation.text == "A group of samples [1]."
    assert (generation.model, generation.attempts) == ("mistral-test", 1)
    assert generation.usage == TokenUsage(6, 5)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body["model"] == "mistral-test"
    assert request.body["temperature"] == 0
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]


async def test_content_blocks_become_text(server: MistralServer) -> None:
    blocks = [{"type": "text", "text": "Use a "}, {"type": "text", "text": "VPC."}]
    server.script(replies.answer(blocks))
    async with client(server.url) as mistral:
        assert (await mistral.generate(QUESTION)).text == "Use a VPC."


@pytest.mark.parametrize("as_date", [False, True])
async def test_retry_after_is_honoured(server: MistralServer, as_date: bool) -> None:
    date = int(time.time() + 2)
    limit = replies.rate_limited_until(2) if as_date else replies.rate_limited("1")
    server.script(limit, replies.answer("Yes."))
    async with client(server.url) as mistral:
        generation = await mistral.generate(QUESTION)
    assert (generation.text, generation.attempts) == ("Yes.", 2)
    first, second = server.requests
    if as_date:
        assert time.time() >= date - 0.01
    else:
        assert second.time - first.time >= 0.95


@pytest.mark.parametrize("retry_after", ["soon", "-5", "", "nan", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_invalid_retry_after_is_ignored(server: MistralServer, retry_after: str) -> None:
    server.script(replies.rate_limited(retry_after), replies.answer("Yes."))
    async with client(server.url) as mistral:
        assert (await mistral.generate(QUESTION)).attempts == 2


async def test_retry_after_beyond_the_deadline_fails_immediately(server: MistralServer) -> None:
    server.script(replies.rate_limited("60"))
    started = time.monotonic()
    assert await failure(server) == "the language model is rate limited"
    assert time.monotonic() - started < 5
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        replies.failed(500),
        replies.failed(503),
        replies.failed(429),
        replies.cut(),
        replies.body(b"<html>502 Bad Gateway</html>"),
        replies.answer(""),
    ],
    ids=["500", "503", "429", "cut", "garbage", "empty"],
)
async def test_transient_failure_is_retried(server: MistralServer, trouble: Reply) -> None:
    server.script(trouble, replies.answer("Yes."))
    async with client(server.url) as mistral:
        generation = await mistral.generate(QUESTION)
    assert (generation.text, generation.attempts) == ("Yes.", 2)


async def test_persistent_failure_is_tried_four_times(server: MistralServer) -> None:
    server.default = replies.failed(500)
    assert await failure(server) == "the language model's service failed"
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "the language model refused the request"),
        (401, "the language model refused the API key"),
        (403, "the language model refused the API key"),
        (404, "the language model's name or address is not known"),
        (422, "the language model refused the request"),
    ],
)
async def test_refusal_is_not_retried(server: MistralServer, status: int, message: str) -> None:
    server.default = replies.failed(status)
    assert await failure(server) == message
    assert len(server.requests) == 1


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
    async with client(server.url) as mistral:
        with pytest.raises(GenerationError) as caught:
            await mistral.generate(QUESTION)
    assert str(caught.value) == "the language model's answer could not be read"
    assert caught.value.__cause__ is None
    assert len(server.requests) == 2


async def test_silent_server_times_out_within_the_total_time(server: MistralServer) -> None:
    server.default = replies.silence()
    started = time.monotonic()
    assert await failure(server, seconds=1.5) == ("the language model did not answer within 1.5 s")
    assert 1.4 < time.monotonic() - started < 3
    assert len(server.requests) == 2


async def test_hanging_call_leaves_time_for_a_retry(server: MistralServer) -> None:
    server.script(replies.silence(), replies.answer("Yes."))
    async with client(server.url, seconds=3) as mistral:
        assert (await mistral.generate(QUESTION)).attempts == 2


@pytest.mark.parametrize("reply", [replies.refused_key(), replies.failed(503), replies.cut()])
async def test_failures_show_no_key_address_or_upstream_text(
    server: MistralServer, reply: Reply
) -> None:
    server.default = reply
    message = await failure(server, seconds=1)
    assert not [word for word in (KEY, "127.0.0.1", "http", "SECRET") if word in message]


async def test_stopped_server_is_reported_as_unreachable() -> None:
    with MistralServer() as gone:
        url = gone.url
    async with client(url) as mistral:
        with pytest.raises(GenerationError, match="cannot be reached"):
            await mistral.generate(QUESTION)


async def test_64_calls_run_concurrently(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=0.5)
    async with client(server.url) as mistral:
        answers = await asyncio.gather(*(mistral.generate(QUESTION) for _ in range(64)))
    assert {each.text for each in answers} == {"Yes."}
    assert server.max_in_flight == 64
    assert len(server.requests) == 64


async def test_concurrent_calls_are_limited(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=0.05)
    async with client(server.url, concurrency=2) as mistral:
        await asyncio.gather(*(mistral.generate(QUESTION) for _ in range(8)))
    assert server.max_in_flight == 2


async def test_waiting_for_a_slot_counts_against_the_deadline(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=1.6)
    async with client(server.url, seconds=2.5, concurrency=1) as mistral:
        outcomes = await asyncio.gather(
            *(mistral.generate(QUESTION) for _ in range(2)), return_exceptions=True
        )
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [str(error) for error in failed] == ["the language model did not answer within 2.5 s"]


async def test_call_that_would_wait_too_long_is_refused_immediately(server: MistralServer) -> None:
    server.default = replies.answer("Yes.", delay=0.6)
    async with client(server.url, seconds=1.0, concurrency=1) as mistral:
        await mistral.generate(QUESTION)  # sets the expected duration of a call
        under_way = asyncio.create_task(mistral.generate(QUESTION))
        await asyncio.sleep(0.05)
        with pytest.raises(GenerationError, match="the language model is busy"):
            await mistral.generate(QUESTION)
        assert not under_way.done()
        assert (await under_way).text == "Yes."

    assert len(server.requests) == 2
