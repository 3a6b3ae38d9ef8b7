"""The language model of any provider, streamed over real HTTP from servers that fail on request."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import SecretStr
from tenacity import wait_none

from inference_worker.answer import TokenUsage
from inference_worker.generation import language_model
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.provider_errors import PromptTooLongError
from inference_worker.generation.providers import language_model_from
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

KEY = "test-key-7f3a"
QUESTION: list[BaseMessage] = [SystemMessage("Be short."), HumanMessage("What is a batch?")]
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


@pytest.fixture(autouse=True)
def _no_time_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once: the pauses that a server asks for stay."""
    monkeypatch.setattr(language_model, "BACKOFF", wait_none())


@pytest.fixture
def server(provider: str) -> Iterator[ChatServer]:
    with SERVERS[provider]() as running:
        yield running


@asynccontextmanager
async def model(
    provider: str, server: ChatServer, *, seconds: float = 10.0, breaker_failures: int = 5
) -> AsyncIterator[LanguageModel]:
    mistral = provider == "mistralai"
    made = language_model_from(
        Settings(
            _env_file=None,
            inference_model="mistral-test" if mistral else f"{provider}:test",
            mistral_api_key=SecretStr(KEY) if mistral else None,
            mistral_base_url=server.url if mistral else "https://unused.example/v1",
            inference_base_url=None if mistral else server.url,
            inference_api_key=None if mistral else SecretStr(KEY),
            inference_timeout=seconds,
            breaker_failures=breaker_failures,
            breaker_seconds=0.3,
        )
    )
    assert made is not None
    try:
        yield made
    finally:
        await made.aclose()
        if provider == "anthropic":
            from langchain_anthropic._client_utils import _get_default_async_httpx_client as shared

            # Clients are cached by address, even closed ones; the next server may get this port.
            shared.cache_clear()


async def streamed(llm: LanguageModel, said: list[str] | None = None) -> tuple[str, Generation]:
    """Read a whole stream: what was said piece by piece, and what came last."""
    said = [] if said is None else said
    async with aclosing(llm.stream(QUESTION)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Generation):
                return "".join(said), piece
            said.append(piece)
    raise AssertionError("a stream ends with a generation or an exception")


async def test_pieces_come_as_they_are_written_and_the_whole_comes_last(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.answer(TEXT, between=0.02)
    said: list[str] = []
    async with model(provider, server) as llm:
        text, generation = await streamed(llm, said)

    assert text == generation.text == TEXT
    assert len(said) >= 4
    assert generation.usage == TokenUsage(6, 5)
    assert generation.model == ("mistral-test" if provider == "mistralai" else f"{provider}:test")
    assert not generation.truncated


async def test_the_whole_at_once_is_the_same(provider: str, server: ChatServer) -> None:
    server.default = replies.answer(TEXT)
    async with model(provider, server) as llm:
        generation = await llm.generate(QUESTION)

    assert generation.text == TEXT
    assert generation.usage == TokenUsage(6, 5)


async def test_an_answer_that_was_cut_at_its_longest_says_so(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.answer(TEXT, finish="length")
    async with model(provider, server) as llm:
        assert (await streamed(llm))[1].truncated
        assert (await llm.generate(QUESTION)).truncated


@pytest.mark.parametrize(
    "trouble",
    [
        replies.failed(500),
        replies.failed(429),
        replies.hang_up(),
        replies.empty_stream(),
        replies.error_after(0, TEXT),
        replies.garbled_after(0, TEXT),
        replies.unfinished_after(0, TEXT),
    ],
    ids=["500", "429", "hang-up", "no-event", "error-event", "garbage", "no-finish"],
)
async def test_trouble_before_the_first_word_is_tried_again(
    provider: str, server: ChatServer, trouble: Reply
) -> None:
    server.script(trouble)
    server.default = replies.answer(TEXT)
    async with model(provider, server) as llm:
        text, generation = await streamed(llm)

    assert (text, generation.attempts) == (TEXT, 2)


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (replies.broken_after(2, TEXT, between=0.02), "the language model broke off"),
        (replies.unfinished_after(2, TEXT), "the language model broke off"),
        (replies.error_after(2, TEXT), "the language model broke off"),
        (replies.garbled_after(2, TEXT), "the language model broke off"),
        (replies.hangs_after(2, TEXT), "the language model broke off"),
    ],
    ids=["reset", "no-finish", "error-event", "garbage", "hang"],
)
async def test_trouble_after_words_were_said_is_final_and_told_in_our_words(
    provider: str, server: ChatServer, trouble: Reply, message: str
) -> None:
    server.default = trouble
    said: list[str] = []
    async with model(provider, server, seconds=1.5) as llm:
        started = time.monotonic()
        with pytest.raises(GenerationError) as caught:
            await streamed(llm, said)

    assert "".join(said).strip()
    assert str(caught.value).startswith(message)
    assert SECRET not in "".join(_told(caught.value))
    assert len(server.requests) == 1
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("trouble", "message", "calls"),
    [
        (replies.refused_key(), "the language model refused the API key", 1),
        (replies.failed(404), "the language model's name or address is not known", 1),
        (replies.failed(422), "the language model refused the request", 1),
        (replies.failed(503), "the language model's service failed", 4),
        (replies.answer("  "), "the language model gave an empty answer", 2),
        (replies.rate_limited("60"), "the language model is rate limited", 1),
    ],
)
async def test_a_failure_is_told_in_our_words_whoever_the_provider(
    provider: str, server: ChatServer, trouble: Reply, message: str, calls: int
) -> None:
    async with model(provider, server, breaker_failures=99) as llm:
        for streaming in (True, False):
            server.reset()
            server.default = trouble
            with pytest.raises(GenerationError) as caught:
                await (streamed(llm) if streaming else llm.generate(QUESTION))

            assert str(caught.value) == message
            assert len(server.requests) == calls
            assert not [word for word in (KEY, "127.0.0.1", SECRET) if word in _told(caught.value)]


async def test_a_prompt_that_is_too_long_is_told_apart(provider: str, server: ChatServer) -> None:
    server.default = replies.too_long()
    async with model(provider, server) as llm:
        with pytest.raises(PromptTooLongError):
            await streamed(llm)
        with pytest.raises(PromptTooLongError):
            await llm.generate(QUESTION)

    assert len(server.requests) == 2


async def test_a_server_that_is_down_is_named_unreachable(provider: str) -> None:
    with SERVERS[provider]() as gone:
        pass
    async with model(provider, gone) as llm:
        with pytest.raises(GenerationError, match="cannot be reached"):
            await streamed(llm)


async def test_who_stops_listening_ends_the_call_at_once(provider: str, server: ChatServer) -> None:
    server.default = replies.answer(TEXT * 20, between=0.05)
    async with model(provider, server) as llm:
        async with aclosing(llm.stream(QUESTION)) as pieces:
            await anext(pieces)
            assert llm.concurrency.in_use == 1
        await server.idle(within=2)

        assert server.left == 1
        assert llm.concurrency.in_use == 0


async def test_who_is_cancelled_while_waiting_ends_the_call_at_once(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.silence()
    async with model(provider, server) as llm:
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


async def test_a_dead_service_is_left_alone_and_comes_back_by_itself(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.refused_key()
    async with model(provider, server, breaker_failures=3) as llm:
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


async def test_requests_it_refuses_do_not_speak_against_the_service(
    provider: str, server: ChatServer
) -> None:
    server.default = replies.too_long()
    async with model(provider, server, breaker_failures=1) as llm:
        for _ in range(3):
            with pytest.raises(PromptTooLongError):
                await streamed(llm)


async def test_streams_use_their_connection_again(provider: str, server: ChatServer) -> None:
    server.default = replies.answer(TEXT)
    async with model(provider, server) as llm:
        for _ in range(5):
            await streamed(llm)

    assert server.connections == 1


def test_a_provider_without_its_package_is_named_with_what_to_install() -> None:
    settings = Settings(
        _env_file=None, inference_model="fireworks:test", inference_api_key=SecretStr(KEY)
    )
    with pytest.raises(SettingsError, match="pip install langchain-fireworks") as caught:
        language_model_from(settings)
    assert KEY not in str(caught.value)


def test_a_provider_nobody_knows_is_refused_in_one_line() -> None:
    settings = Settings(
        _env_file=None, inference_model="nobody:test", inference_api_key=SecretStr(KEY)
    )
    with pytest.raises(SettingsError, match="INFERENCE_MODEL=nobody:test") as caught:
        language_model_from(settings)
    assert "\n" not in str(caught.value)


def test_a_provider_without_a_key_says_which_setting_it_misses() -> None:
    with pytest.raises(SettingsError, match=r"^INFERENCE_API_KEY: not set"):
        language_model_from(Settings(_env_file=None, inference_model="openai:gpt-test"))


def test_a_server_of_ones_own_needs_no_key() -> None:
    settings = Settings(
        _env_file=None, inference_model="openai:own", inference_base_url="http://127.0.0.1:9/v1"
    )
    assert language_model_from(settings) is not None


def test_a_model_that_mistral_tuned_is_mistrals() -> None:
    settings = Settings(
        _env_file=None, inference_model="ft:open-mistral-7b:1:2", mistral_api_key=SecretStr(KEY)
    )
    llm = language_model_from(settings)
    assert llm is not None
    assert llm.name == "ft:open-mistral-7b:1:2"


def _told(error: BaseException | None) -> str:
    """Everything that a log of an exception would show."""
    told = ""
    while error is not None:
        told += str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told
