"""The model of OLLAMA_URL: used once its server answers, and pulled to it if it is missing."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inference_worker.generation.language_model import LanguageModel
from inference_worker.generation.ollama_model import NOT_PULLED, OllamaModel
from inference_worker.generation.providers import language_model_from
from tests.inference_worker.generation.connected_model import QUESTION
from tests.servers.chat import replies
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.replies import Reply
from utils.benchmark.processes import free_port
from utils.errors import GenerationError
from utils.settings import Settings

pytestmark = pytest.mark.process

TEXT = "A group of samples [1]."


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OllamaServer]:
    with OllamaServer(tmp_path / "models") as running:
        running.default = replies.answer(TEXT)
        yield running


@asynccontextmanager
async def preparing(
    url: str, *, model: str = "granite4.1:3b"
) -> AsyncIterator[tuple[LanguageModel, asyncio.Task[None]]]:
    """The language model of a server, while it is being prepared."""
    settings = Settings(_env_file=None, ollama_url=url, ollama_model=model)
    llm = language_model_from(settings)
    assert llm is not None
    task = asyncio.create_task(OllamaModel(llm, settings, poll_seconds=0.05).prepare())
    try:
        yield llm, task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await llm.aclose()


def requested(server: OllamaServer) -> list[str]:
    return [request.path for request in server.requests]


async def test_missing_model_is_pulled_with_progress_in_the_log_and_then_writes(
    server: OllamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with preparing(server.url) as (llm, task):
        await asyncio.wait_for(task, 10)
        assert (await llm.generate(QUESTION)).text == TEXT

    assert requested(server) == ["/api/tags", "/api/pull", "/api/chat"]
    shares = re.findall(r"Pulling granite4.1:3b: (\d+)% of 2.0 GB", caplog.text)
    assert list(map(int, shares)) == list(range(5, 101, 5))
    assert "Answers are written by ollama:granite4.1:3b" in caplog.text


@pytest.mark.parametrize("model", ["granite4.1:3b", "granite", "hf.co/ours/Granite"])
async def test_model_that_is_there_is_not_pulled(server: OllamaServer, model: str) -> None:
    for _ in range(2):
        async with preparing(server.url, model=model) as (llm, task):
            await asyncio.wait_for(task, 10)
            assert llm.is_offered
            assert not llm.unavailable_reason

    assert requested(server) == ["/api/tags", "/api/pull", "/api/tags"]


async def test_interrupted_pull_is_resumed(
    server: OllamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.script(replies.answer(), Reply(then="cut"))
    async with preparing(server.url) as (_, task):
        await asyncio.wait_for(task, 10)

    assert requested(server) == ["/api/tags", "/api/pull"] * 2
    shares = re.findall(r"Pulling granite4.1:3b: (\d+)%", caplog.text)
    assert list(map(int, shares)) == list(range(5, 101, 5)), "it began anew"
    assert caplog.text.count("Cannot use granite4.1:3b") == 1


async def test_model_is_offered_and_unavailable_while_it_is_pulled(server: OllamaServer) -> None:
    server.pull_seconds = 30
    async with preparing(server.url) as (llm, _):
        assert not llm.is_offered
        while not llm.is_offered:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)
        with pytest.raises(GenerationError, match=NOT_PULLED):
            await llm.generate(QUESTION)

    assert "/api/chat" not in requested(server)


async def test_failing_pull_is_tried_again_and_logged_once(
    server: OllamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        server.script(replies.answer(), replies.failed(500))
    async with preparing(server.url) as (llm, task):
        await asyncio.wait_for(task, 10)
        assert not llm.unavailable_reason

    assert requested(server).count("/api/pull") == 4
    assert caplog.text.count("Cannot use granite4.1:3b") == 1


@pytest.mark.parametrize("page", [b"<html>A proxy's error page</html>", b"{}", b"[]"])
async def test_other_server_is_not_used(server: OllamaServer, page: bytes) -> None:
    server.default = replies.body(page)
    server.adapt = lambda request, reply: reply  # type: ignore[method-assign]
    async with preparing(server.url) as (llm, _):
        while len(server.requests) < 3:  # noqa: ASYNC110 - the server is in another thread
            await asyncio.sleep(0.005)
        assert not llm.is_offered

    assert set(requested(server)) == {"/api/tags"}


async def test_model_is_not_offered_without_a_server(caplog: pytest.LogCaptureFixture) -> None:
    async with preparing(f"http://127.0.0.1:{free_port()}") as (llm, task):
        await asyncio.sleep(0.2)
        assert not llm.is_offered
        assert not task.done()

    assert not caplog.records, "an optional server that is not there is no problem"


async def test_limits_are_those_of_a_slow_model(server: OllamaServer) -> None:
    async with preparing(server.url) as (llm, task):
        await task
        await llm.generate(QUESTION)
        assert 179 < llm.deadline() - asyncio.get_running_loop().time() <= 180

    options = server.requests[-1].body["options"]
    assert options["num_predict"] == 512
    assert 5000 < options["num_ctx"] < 8000


@pytest.mark.parametrize(("model", "reason"), [("granite4.1:3b", ""), ("another", NOT_PULLED)])
async def test_single_answer_uses_the_model_only_if_it_is_there(
    server: OllamaServer, model: str, reason: str
) -> None:
    async with preparing(server.url) as (_, task):
        await asyncio.wait_for(task, 10)
    settings = Settings(_env_file=None, ollama_url=server.url, ollama_model=model)
    llm = language_model_from(settings)
    assert llm is not None

    await OllamaModel(llm, settings).check()
    await llm.aclose()

    assert (llm.is_offered, llm.unavailable_reason) == (True, reason)
    assert requested(server).count("/api/pull") == 1


async def test_single_answer_is_as_without_a_language_model_if_no_server_answers() -> None:
    settings = Settings(_env_file=None, ollama_url=f"http://127.0.0.1:{free_port()}")
    llm = language_model_from(settings)
    assert llm is not None

    await OllamaModel(llm, settings).check()
    await llm.aclose()

    assert not llm.is_offered
