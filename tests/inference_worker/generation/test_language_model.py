"""The language model of each provider, over real HTTP from servers that fail on request."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import SecretStr

from inference_worker.answer import TokenUsage
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.provider_errors import PromptTooLongError
from inference_worker.generation.providers import language_model_from
from inference_worker.limits.counters import MemoryCounters
from inference_worker.limits.rate_limiter import RateLimiter
from inference_worker.limits.spending import Spending, TokenBudget
from tests.inference_worker.generation.connected_model import KEY, QUESTION, connected_model
from tests.servers.chat import replies
from tests.servers.chat.anthropic import AnthropicServer
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.openai import OpenAIServer
from tests.servers.chat.replies import SECRET, Reply
from tests.servers.chat.server import ChatServer
from utils.errors import GenerationError, SettingsError
from utils.settings import Settings

pytestmark = pytest.mark.process

TEXT = "A group of samples [1]."

SERVERS: dict[str, type[ChatServer]] = {
    "mistralai": MistralServer,
    "openai": OpenAIServer,
    "ollama": OllamaServer,
    "anthropic": AnthropicServer,
}


@pytest.fixture(params=SERVERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(provider: str) -> Iterator[ChatServer]:
    with SERVERS[provider]() as running:
        yield running


async def streamed(llm: LanguageModel, tokens: list[str] | None = None) -> tuple[str, Generation]:
    """Read a whole stream; returns the text and the final generation."""
    tokens = [] if tokens is None else tokens
    async with aclosing(llm.stream(QUESTION)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Generation):
                return "".join(tokens), piece
            tokens.append(piece)
    raise AssertionError("a stream ends with a generation or an exception")


async def test_tokens_are_streamed_and_followed_by_what_generate_returns(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.answer(TEXT, between=0.02)
    tokens: list[str] = []
    async with connected_model(provider, server) as llm:
        text, generation = await streamed(llm, tokens)
        assert await llm.generate(QUESTION) == generation

    name = "mistral-test" if provider == "mistralai" else f"{provider}:test"
    assert generation == Generation(TEXT, name, TokenUsage(6, 5))
    assert text == TEXT
    assert len(tokens) >= 4


async def test_tokens_of_every_call_are_counted_even_if_its_text_is_of_no_use(
    provider: str, server: ChatServer
) -> None:
    budget = TokenBudget(1_000_000, MemoryCounters())
    async with connected_model(provider, server) as llm:
        llm.spending = Spending(RateLimiter(MemoryCounters()), budget)
        await llm.generate(QUESTION)
        await streamed(llm)
        assert budget.spent > 0
        server.default = replies.answer("<think>It could be a batch of", finish="length")
        for ask in (llm.generate(QUESTION), streamed(llm)):
            before, asked = budget.spent, len(server.requests)
            with pytest.raises(GenerationError):
                await ask
            assert budget.spent - before >= len(server.requests) - asked > 0


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_reason_why_an_answer_was_cut_is_reported(
    provider: str, server: ChatServer, reason: str
) -> None:
    server.default = replies.answer(TEXT, finish=reason)
    async with connected_model(provider, server) as llm:
        assert (await streamed(llm))[1].finish_reason == reason
        assert (await llm.generate(QUESTION)).finish_reason == reason


@pytest.mark.parametrize(
    "reply",
    [
        replies.failed(500),
        replies.failed(429),
        replies.hang_up(),
        Reply(then="cut", after=0),
        replies.empty_stream(),
        replies.error_after(0, TEXT),
        replies.garbled_after(0, TEXT),
        replies.unfinished_after(0, TEXT),
    ],
    ids=["500", "429", "hang-up", "cut", "no-event", "error-event", "garbage", "no-finish"],
)
async def test_failure_before_the_first_token_is_retried(
    provider: str, server: ChatServer, reply: Reply
) -> None:
    server.default = replies.answer(TEXT)
    async with connected_model(provider, server) as llm:
        server.script(reply)
        assert (await streamed(llm))[0] == TEXT
        server.script(reply)
        assert (await llm.generate(QUESTION)).text == TEXT

    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "reply",
    [
        replies.broken_after(2, TEXT, between=0.02),
        replies.unfinished_after(2, TEXT),
        replies.error_after(2, TEXT),
        replies.garbled_after(2, TEXT),
        replies.hangs_after(2, TEXT),
    ],
    ids=["reset", "no-finish", "error-event", "garbage", "hang"],
)
async def test_failure_after_the_first_token_is_not_retried_and_leaks_nothing(
    provider: str, server: ChatServer, reply: Reply
) -> None:
    server.default = reply
    tokens: list[str] = []
    async with connected_model(provider, server, seconds=1.5) as llm:
        started = time.monotonic()
        with pytest.raises(GenerationError) as caught:
            await streamed(llm, tokens)

    assert "".join(tokens).strip()
    assert str(caught.value).startswith("the language model broke off")
    assert SECRET not in "".join(_logged_text(caught.value))
    assert len(server.requests) == 1
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("reply", "message", "calls"),
    [
        (replies.refused_key(), "the language model refused the API key", 1),
        (replies.failed(403), "the language model refused the API key", 1),
        (replies.failed(400), "the language model refused the request", 1),
        (replies.failed(404), "the language model's name or address is not known", 1),
        (replies.failed(422), "the language model refused the request", 1),
        (replies.failed(503), "the language model's service failed", 4),
        (replies.answer("  "), "the language model gave an empty answer", 2),
        (replies.rate_limited("60"), "the language model is rate limited", 1),
    ],
)
async def test_failure_has_the_same_message_for_every_provider(
    provider: str, server: ChatServer, reply: Reply, message: str, calls: int
) -> None:
    async with connected_model(provider, server, breaker_failures=99) as llm:
        for streaming in (True, False):
            server.reset()
            server.default = reply
            with pytest.raises(GenerationError) as caught:
                await (streamed(llm) if streaming else llm.generate(QUESTION))

            assert str(caught.value) == message
            assert len(server.requests) == calls
            assert not [
                word for word in (KEY, "127.0.0.1", SECRET) if word in _logged_text(caught.value)
            ]


async def test_too_long_prompt_raises_its_own_error_and_does_not_open_the_circuit(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.too_long()
    async with connected_model(provider, server, breaker_failures=1) as llm:
        for _ in range(2):
            with pytest.raises(PromptTooLongError):
                await streamed(llm)
            with pytest.raises(PromptTooLongError):
                await llm.generate(QUESTION)

    assert len(server.requests) == 4


async def test_stopped_server_is_reported_as_unreachable(provider: str) -> None:
    with SERVERS[provider]() as stopped:
        pass
    async with connected_model(provider, stopped, breaker_failures=99) as llm:
        with pytest.raises(GenerationError, match="cannot be reached"):
            await streamed(llm)
        with pytest.raises(GenerationError, match="cannot be reached"):
            await llm.generate(QUESTION)


async def test_closing_the_stream_cancels_the_call(provider: str, server: ChatServer) -> None:
    server.default = replies.answer(TEXT * 20, between=0.05)
    async with connected_model(provider, server) as llm:
        async with aclosing(llm.stream(QUESTION)) as pieces:
            await anext(pieces)
            assert llm.concurrency.in_use == 1
        await server.idle(within=2)

        assert server.left == 1
        assert llm.concurrency.in_use == 0


async def test_cancelling_the_task_cancels_the_call(provider: str, server: ChatServer) -> None:
    server.default = replies.silence()
    async with connected_model(provider, server) as llm:
        waiting = asyncio.create_task(streamed(llm))
        while not server.in_flight:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await server.idle(within=2)

        assert server.left == 1
        assert llm.concurrency.in_use == 0
        assert not llm.breaker.is_open


async def test_circuit_breaker_stops_calls_to_a_failing_service_and_recovers(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.refused_key()
    async with connected_model(provider, server, breaker_failures=3) as llm:
        for _ in range(3):
            with pytest.raises(GenerationError, match="refused the API key"):
                await streamed(llm)
        with pytest.raises(GenerationError, match="failed repeatedly"):
            await streamed(llm)
        with pytest.raises(GenerationError, match="failed repeatedly"):
            await llm.generate(QUESTION)
        assert len(server.requests) == 3

        server.default = replies.answer(TEXT)
        await asyncio.sleep(0.35)
        assert (await streamed(llm))[0] == TEXT
        assert (await llm.generate(QUESTION)).text == TEXT


async def test_streams_reuse_the_connection(provider: str, server: ChatServer) -> None:
    server.default = replies.answer(TEXT)
    async with connected_model(provider, server) as llm:
        for _ in range(5):
            await streamed(llm)

    assert server.connections == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inference_model": "fireworks:a", "inference_api_key": KEY}, "pip install langchain-fir"),
        ({"inference_model": "unknown:a", "inference_api_key": KEY}, "INFERENCE_MODEL=unknown:a"),
        ({"inference_model": "openai:gpt-test"}, "^INFERENCE_API_KEY: not set"),
        ({"mistral_api_key": f"{KEY}é\n"}, "MISTRAL_API_KEY"),
    ],
    ids=["no-package", "unknown-provider", "no-key", "malformed-key"],
)
def test_unusable_settings_are_a_one_line_error_without_the_key(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        language_model_from(Settings(_env_file=None, **settings))
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_mistral_without_a_key_has_no_model() -> None:
    assert language_model_from(Settings(_env_file=None, mistral_api_key=None)) is None
    own = {"inference_model": "openai:own", "inference_base_url": "http://127.0.0.1:9/v1"}
    assert language_model_from(Settings(_env_file=None, **own)) is not None  # type: ignore[arg-type]


async def test_context_of_ollama_is_longer_than_the_longest_prompt_and_the_answer() -> None:
    with OllamaServer() as server:
        server.default = replies.answer(TEXT)
        async with connected_model("ollama", server) as llm:
            await llm.generate(QUESTION)

    (request,) = server.requests
    used = Settings(_env_file=None)
    prompt = used.prompt_max_tokens * (used.max_search_rounds + 1)
    assert request.body["options"]["num_predict"] == used.inference_max_tokens
    # Models count up to 1.15 times our tokens.
    assert request.body["options"]["num_ctx"] >= 1.15 * prompt + used.inference_max_tokens


def test_fine_tuned_mistral_model_uses_mistral() -> None:
    name = "ft:open-mistral-7b:1:2"
    settings = Settings(_env_file=None, inference_model=name, mistral_api_key=SecretStr(KEY))
    llm = language_model_from(settings)
    assert llm is not None
    assert llm.name == name


def _logged_text(error: BaseException | None) -> str:
    """The messages of the exception and its causes, as a log would show them."""
    text = ""
    while error is not None:
        text += str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text
