"""The two services under load: ours, and the original's path from a question to its answer."""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from utils.benchmark.processes import BenchmarkRun, Running, free_port, server, worker_command
from utils.benchmark.provider import simulated_provider
from utils.errors import DocsQAError
from utils.figures import percentile

if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

CLIENTS = (1, 32)
_REQUEST_SECONDS = 120.0
_NO_KEY = " "
"""An empty variable would let the key in .env through; a blank one is no key."""
_CHAIN_CALLS = 3
QUOTED = "extractive"
"""The generator of an answer that no language model wrote, as the service's callers know it."""

PostQuestion = Callable[["httpx.AsyncClient", str], Awaitable["httpx.Response"]]


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


def our_service(
    job: BenchmarkRun, environment: dict[str, str] | None = None
) -> AbstractContextManager[Running]:
    """Run our service on our index; it quotes, unless the environment names a language model."""
    port = free_port()
    command = [sys.executable, "-m", "inference_worker", "--host", "127.0.0.1", "--port", f"{port}"]
    settings = {
        "DATABASE": job.ours,
        "EMBEDDING_MODEL_NAME": job.model,
        "EMBEDDING_MODEL_PATH": job.model_folder,
        "MISTRAL_API_KEY": _NO_KEY,
        "MIN_CONFIDENCE": "0",  # the original answers everything; so does ours here
        "ANSWER_CACHE_SIZE": "0",  # every answer is made, and none is shared
    }
    return server("service", command, port, job, settings | (environment or {}))


def original_service(job: BenchmarkRun, provider: str = "") -> AbstractContextManager[Running]:
    """Run the original's path on the original's index; with a provider's address, to the answer."""
    port = free_port()
    command = worker_command("original-service", replace(job, provider=provider), port)
    return server("original-service", command, port, job, {})


def serve_original(job: BenchmarkRun, port: int) -> None:
    """What the original did for a question; without a provider, all but the language model.

    With one, a chain of three calls, one after the other, none of them streamed, and the answer
    only after the last. That much is known of it. Assumed here: each call is given the passages,
    what the call before it wrote and the question, and writes as many tokens as an answer of ours
    has, since that is all the simulated provider writes; nothing is added for parsing, prompts or
    retrying.
    """
    import chromadb
    import httpx
    from chromadb.config import Settings as ChromaSettings
    from fastapi import FastAPI
    from langchain_chroma import Chroma
    from langchain_huggingface import HuggingFaceEmbeddings

    client = chromadb.PersistentClient(job.original, ChromaSettings(anonymized_telemetry=False))
    embeddings = HuggingFaceEmbeddings(model_name=job.model_folder)
    retriever = Chroma(client=client, embedding_function=embeddings).as_retriever()
    retriever.invoke("warm-up")
    http = httpx.Client(timeout=_REQUEST_SECONDS, trust_env=False)
    app = FastAPI()

    def call(*texts: str) -> str:
        body = {"model": "chain", "messages": [{"role": "user", "content": "\n\n".join(texts)}]}
        response = http.post(f"{job.provider}/chat/completions", json=body)
        return str(response.raise_for_status().json()["choices"][0]["message"]["content"])

    @app.post("/inference_endpoint")
    def inference_endpoint(message: str) -> dict[str, Any]:
        found = retriever.invoke(message)
        answer = ""
        for _ in range(_CHAIN_CALLS if job.provider else 0):
            answer = call(*(document.page_content for document in found), answer, message)
        return {"answer": answer, "docs": [document.metadata["source"] for document in found]}

    _serve(app, port)


def _serve(app: "FastAPI", port: int) -> None:
    import uvicorn

    @app.get("/readyz")
    def readyz() -> None: ...

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def post_question(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Ask as the original's callers do."""
    return client.post("/inference_endpoint", params={"message": question})


def post_search(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Retrieve only."""
    return client.post("/v1/search", json={"query": question})


def measure_latency(
    address: str, send: PostQuestion, asked: Sequence[str], *, clients: int, requests: int
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
    address: str, send: PostQuestion, asked: Sequence[str], clients: int, requests: int
) -> tuple[list[float], float]:
    """Seconds of each request that was answered with 200, and of all together."""
    async with http_clients(address, clients) as http:
        await _keep_busy(http, send, asked, clients, min(requests, 20 + 2 * clients))
        start = time.perf_counter()
        times = await _keep_busy(http, send, asked, clients, requests)
        return times, time.perf_counter() - start


async def _keep_busy(
    http: "httpx.AsyncClient", send: PostQuestion, asked: Sequence[str], clients: int, requests: int
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


def http_clients(address: str, clients: int) -> "httpx.AsyncClient":
    """A pool of connections, one a client."""
    import httpx

    return httpx.AsyncClient(
        base_url=address,
        timeout=_REQUEST_SECONDS,
        limits=httpx.Limits(max_connections=clients, max_keepalive_connections=clients),
        trust_env=False,
    )


def measure_llm(
    job: BenchmarkRun, asked: Sequence[str], clients: int, seconds: float
) -> LLMFigures:
    """Ask all at once while the language model takes so many seconds."""
    slow = replace(job, first_token_seconds=seconds, answer_tokens=1)
    with simulated_provider(slow) as provider, our_service(job, provider.settings) as ours:
        took, answered = asyncio.run(_all_at_once(ours.address, asked, clients))
    return LLMFigures(clients, seconds, took, answered)


async def _all_at_once(address: str, asked: Sequence[str], clients: int) -> tuple[float, int]:
    async with http_clients(address, clients) as http:
        await _keep_busy(http, post_search, asked, clients, 2 * clients)
        start = time.perf_counter()
        responses = await asyncio.gather(
            *(
                http.post("/v1/answers", json={"question": question})
                for question in itertools.islice(itertools.cycle(asked), clients)
            )
        )
        seconds = time.perf_counter() - start
    written = [
        response.status_code == 200 and response.json()["generator"] != QUOTED
        for response in responses
    ]
    return seconds, sum(written)
