"""The two services under load: ours, and the original's path from a question to its answer."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from utils.benchmark.builds import BuildFigures, build_original
from utils.benchmark.processes import (
    BenchmarkRun,
    RunningServer,
    free_port,
    running_server,
    worker_command,
)
from utils.benchmark.report import Measure, Target
from utils.errors import DocsQAError
from utils.figures import percentile

if TYPE_CHECKING:
    import httpx

_CLIENTS = (1, 32)
_REQUEST_SECONDS = 120.0
_BUILD_SECONDS = 6 * 3600.0
"""The timeout of the original's build."""
NO_KEY = " "
"""Overrides the key in .env, which an empty variable would not."""
QUOTED = "extractive"
"""The generator of an answer that no language model wrote."""

UNLIMITED = "requests 1000000000/minute, calls 1000000000/minute, tokens none"
"""Limits of an address that are never reached: their cost is part of what is measured."""

PostQuestion = Callable[["httpx.AsyncClient", str], Awaitable["httpx.Response"]]


def our_service(
    run: BenchmarkRun, environment: dict[str, str] | None = None
) -> AbstractContextManager[RunningServer]:
    """Run our service on our index, without a language model unless the environment names one."""
    port = free_port()
    command = [sys.executable, "-m", "inference_worker", "--host", "127.0.0.1", "--port", f"{port}"]
    settings = {
        "DATABASE": run.ours,
        "EMBEDDING_MODEL_NAME": run.model,
        "EMBEDDING_MODEL_PATH": run.model_folder,
        "MISTRAL_API_KEY": NO_KEY,
        "MIN_CONFIDENCE": "0",  # answer every question, as the original does
        "ANSWER_CACHE_SIZE": "0",  # no answer is shared
        "ADDRESS_LIMITS": UNLIMITED,
        "MAX_WAIT_SECONDS": f"{_REQUEST_SECONDS:g}",  # none is refused, as by the original
    }
    return running_server("service", command, port, run, settings | (environment or {}))


def serve_original(run: BenchmarkRun, port: int) -> None:
    """Build the original's index, then serve its retrieval and, as readiness, the build's figures.

    One process for both: importing the original's libraries takes longer than a small build.
    """
    import uvicorn
    from fastapi import FastAPI

    store, figures = build_original(run)
    retriever = store.as_retriever()
    retriever.invoke("warm-up")
    app = FastAPI()

    @app.post("/inference_endpoint")
    def inference_endpoint(message: str) -> dict[str, Any]:
        found = retriever.invoke(message)
        return {"answer": "", "docs": [document.metadata["source"] for document in found]}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        return asdict(figures)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def post_question(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Request an answer, in the original's form."""
    return client.post("/inference_endpoint", params={"message": question})


def post_search(client: "httpx.AsyncClient", question: str) -> Awaitable["httpx.Response"]:
    """Request passages only."""
    return client.post("/v1/search", json={"query": question})


def http_clients(address: str, clients: int) -> "httpx.AsyncClient":
    """A pool with one connection per client."""
    import httpx

    return httpx.AsyncClient(
        base_url=address,
        timeout=_REQUEST_SECONDS,
        limits=httpx.Limits(max_connections=clients, max_keepalive_connections=clients),
        trust_env=False,
    )


def measure_services(
    run: BenchmarkRun, questions: Sequence[str], requests: int
) -> tuple[BuildFigures, list[Measure]]:
    """Measure both services one after the other, each with 1 client and with many.

    Also returns the figures of the original's build, which precedes its service.

    Raises:
        DocsQAError: a service did not start, or answered none of the requests.
    """
    import httpx

    def measure(address: str, post: PostQuestion) -> dict[int, dict[str, float]]:
        return {
            clients: asyncio.run(_measure_latency(address, post, questions, clients, requests))
            for clients in _CLIENTS
        }

    with our_service(run) as ours:
        answers, searches = (measure(ours.address, post) for post in (post_question, post_search))
    port = free_port()
    command = worker_command("original", run, port)
    with running_server("original", command, port, run, {}, _BUILD_SECONDS) as original:
        build = httpx.get(f"{original.address}/readyz", trust_env=False).json()
        originals = measure(original.address, post_question)
    measures = []
    for clients in _CLIENTS:
        measures += _service_measures("answer", clients, answers[clients], originals[clients])
    for clients in _CLIENTS:
        measures += _service_measures("search alone", clients, searches[clients], {})
    return BuildFigures(**build), measures


def _service_measures(
    name: str, clients: int, ours: dict[str, float], original: dict[str, float]
) -> list[Measure]:
    where = f"{name}, {clients} client{'s' if clients > 1 else ''}"
    limits = {"p50 ms": 15, "p99 ms": 60} if (name, clients) == ("answer", 1) else {}
    measures = []
    for key, value in ours.items():
        target = Target("value", below=limits[key]) if key in limits else None
        if key == "failed" and not (value or original.get(key)):
            continue
        better = {"a second": "more", "failed": ""}.get(key, "less")
        measures.append(
            Measure(f"{where}, {key}", value, original.get(key), better, target)  # type: ignore[arg-type]  # a literal
        )
    return measures


async def _measure_latency(
    address: str, post: PostQuestion, questions: Sequence[str], clients: int, requests: int
) -> dict[str, float]:
    """Keep the clients busy, first to warm up, then until all requests are answered."""
    async with http_clients(address, clients) as http:
        warm_up = min(requests, 20 + 2 * clients)
        await _keep_busy(http, post, islice(cycle(questions), warm_up), clients)
        start = time.perf_counter()
        times = await _keep_busy(http, post, islice(cycle(questions), requests), clients)
        seconds = time.perf_counter() - start
    if not times:
        raise DocsQAError("The service answered none of the benchmark's requests.")
    return {
        "p50 ms": 1000 * percentile(times, 0.50),
        "p99 ms": 1000 * percentile(times, 0.99),
        "a second": len(times) / seconds,
        "failed": requests - len(times),
    }


async def _keep_busy(
    http: "httpx.AsyncClient", post: PostQuestion, todo: "islice[str]", clients: int
) -> list[float]:
    """The seconds of each request answered with 200."""
    import httpx

    times: list[float] = []

    async def run_client() -> None:
        for question in todo:
            start = time.perf_counter()
            with contextlib.suppress(httpx.TransportError):
                response = await post(http, question)
                if response.status_code == 200:
                    times.append(time.perf_counter() - start)

    await asyncio.gather(*(run_client() for _ in range(clients)))
    return times
