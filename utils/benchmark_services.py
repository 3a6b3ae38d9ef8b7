"""The two services under load: ours, and the original's path from a question to its passages."""

import asyncio
import contextlib
import itertools
import math
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.benchmark_processes import Job, free_port, server, worker_command
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

CLIENTS = (1, 32)
_QUESTIONS = 200
_REQUEST_SECONDS = 120.0
_NO_KEY = " "
"""An empty variable would let the key in .env through; a blank one is no key."""
_LLM_TEXT = "The documentation says so [1]."

Ask = Callable[["httpx.AsyncClient", str], Awaitable["httpx.Response"]]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long requests took, in milliseconds."""

    p50: float
    p99: float
    per_second: float
    """Requests answered a second, all clients together."""
    failed: int
    """Requests that got no 200; they count in no other figure."""


@dataclass(frozen=True, slots=True)
class LLMFigures:
    """Many clients at once, each waiting for a slow language model."""

    clients: int
    llm_seconds: float
    seconds: float
    """Until the last was answered."""
    answered: int
    """Answers that the language model wrote."""


def questions(folder: Path) -> list[str]:
    """Up to 200 of the documents' headings, evenly spread; always the same ones."""
    from dataset.documents import load
    from dataset.markdown import sections

    found = dict.fromkeys(
        section.headings[-1]
        for document in load(folder, lambda skipped: None)
        for section in sections(document.text)
        if section.headings and section.headings[-1].strip()
    )
    headings = sorted(found)
    if not headings:
        raise DocsQAError(f"No heading in {folder} that could be asked about.")
    step = max(1.0, len(headings) / _QUESTIONS)
    return [headings[int(at * step)] for at in range(min(_QUESTIONS, len(headings)))]


def our_service(job: Job, environment: dict[str, str] | None = None) -> AbstractContextManager[str]:
    """Run our service on our index; it quotes, unless the environment names a language model."""
    port = free_port()
    command = [sys.executable, "-m", "inference_worker", "--host", "127.0.0.1", "--port", f"{port}"]
    settings = {
        "DATABASE": job.ours,
        "EMBEDDING_MODEL_NAME": job.model,
        "EMBEDDING_MODEL_PATH": job.model_folder,
        "MISTRAL_API_KEY": _NO_KEY,
        "MIN_CONFIDENCE": "0",  # the original answers everything; so does ours here
    }
    return server("service", command, port, job, settings | (environment or {}))


def original_service(job: Job) -> AbstractContextManager[str]:
    """Run the original's path on the original's index."""
    port = free_port()
    command = worker_command("original-service", job, port)
    return server("original-service", command, port, job, {})


def serve_original(job: Job, port: int) -> None:
    """What the original did for a question, without the language model."""
    import chromadb
    from chromadb.config import Settings as ChromaSettings
    from fastapi import FastAPI
    from langchain_chroma import Chroma
    from langchain_huggingface import HuggingFaceEmbeddings

    client = chromadb.PersistentClient(job.original, ChromaSettings(anonymized_telemetry=False))
    embeddings = HuggingFaceEmbeddings(model_name=job.model_folder)
    retriever = Chroma(client=client, embedding_function=embeddings).as_retriever()
    app = FastAPI()

    @app.post("/inference_endpoint")
    def inference_endpoint(message: str) -> dict[str, Any]:
        found = retriever.invoke(message)
        return {"answer": "", "docs": [document.metadata["source"] for document in found]}

    _serve(app, port)


def serve_llm(job: Job, port: int) -> None:
    """A stand-in for Mistral's chat API that thinks for a while before each answer."""
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def completions(body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(job.llm_seconds)
        message = {"role": "assistant", "content": _LLM_TEXT}
        return {
            "id": "benchmark",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    _serve(app, port)


def _serve(app: "FastAPI", port: int) -> None:
    import uvicorn

    @app.get("/readyz")
    def readyz() -> None: ...

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def ask(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Ask as the original's callers do."""
    return client.post("/inference_endpoint", params={"message": question})


def search(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Retrieve only."""
    return client.post("/v1/search", json={"query": question})


def measure_latency(
    address: str, send: Ask, asked: Sequence[str], *, clients: int, requests: int
) -> Latency:
    """Keep so many clients busy until all requests are answered, after a warm-up.

    Raises:
        DocsQAError: none was answered.
    """
    times, seconds = asyncio.run(_load(address, send, asked, clients, requests))
    if not times:
        raise DocsQAError("The service answered none of the benchmark's requests.")
    return Latency(
        p50=percentile(times, 0.50) * 1000,
        p99=percentile(times, 0.99) * 1000,
        per_second=len(times) / seconds,
        failed=requests - len(times),
    )


async def _load(
    address: str, send: Ask, asked: Sequence[str], clients: int, requests: int
) -> tuple[list[float], float]:
    """Seconds of each request that was answered with 200, and of all together."""
    async with _http(address, clients) as http:
        await _keep_busy(http, send, asked, clients, min(requests, 20 + 2 * clients))
        start = time.perf_counter()
        times = await _keep_busy(http, send, asked, clients, requests)
        return times, time.perf_counter() - start


async def _keep_busy(
    http: "httpx.AsyncClient", send: Ask, asked: Sequence[str], clients: int, requests: int
) -> list[float]:
    import httpx

    times: list[float] = []
    todo = itertools.islice(itertools.cycle(asked), requests)

    async def one_client() -> None:
        for question in todo:
            start = time.perf_counter()
            with contextlib.suppress(httpx.TransportError):
                response = await send(http, question)
                if response.status_code == 200:
                    times.append(time.perf_counter() - start)

    await asyncio.gather(*(one_client() for _ in range(clients)))
    return times


def _http(address: str, clients: int) -> "httpx.AsyncClient":
    import httpx

    return httpx.AsyncClient(
        base_url=address,
        timeout=_REQUEST_SECONDS,
        limits=httpx.Limits(max_connections=clients, max_keepalive_connections=clients),
        trust_env=False,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def measure_llm(job: Job, asked: Sequence[str], clients: int) -> LLMFigures:
    """Ask all at once while the language model takes its time."""
    port = free_port()
    with server("llm", worker_command("llm", job, port), port, job, {}) as llm:
        settings = {"MISTRAL_BASE_URL": f"{llm}/v1", "MISTRAL_API_KEY": "benchmark"}
        with our_service(job, settings) as address:
            seconds, answered = asyncio.run(_all_at_once(address, asked, clients))
    return LLMFigures(clients, job.llm_seconds, seconds, answered)


async def _all_at_once(address: str, asked: Sequence[str], clients: int) -> tuple[float, int]:
    async with _http(address, clients) as http:
        await _keep_busy(http, search, asked, clients, 2 * clients)
        start = time.perf_counter()
        responses = await asyncio.gather(
            *(
                http.post("/v1/answers", json={"question": question})
                for question in itertools.islice(itertools.cycle(asked), clients)
            )
        )
        seconds = time.perf_counter() - start
    written = [
        response.status_code == 200 and response.json()["generator"] != "extractive"
        for response in responses
    ]
    return seconds, sum(written)
