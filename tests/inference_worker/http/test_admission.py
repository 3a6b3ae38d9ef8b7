"""Under more load than it can serve, the service refuses early, and serves what it admitted."""

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.admission import MAX_LATENESS, Load
from inference_worker.http.documents.upload_parser import MAX_UPLOADS
from tests.files.pages import WordEmbeddings
from tests.servers.service import Service, serve, until

pytestmark = pytest.mark.process

SEARCH_SECONDS = 0.2
AT_ONCE = 2 * (os.cpu_count() or 1)
"""How many searches run."""
ADMIN_KEY = "k" * 20


class SlowEmbeddings(WordEmbeddings):
    """Takes its time, as a model does, but without a core."""

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        time.sleep(SEARCH_SECONDS)
        return super().embed_queries(texts)


@pytest.fixture
def embeddings() -> SlowEmbeddings:
    return SlowEmbeddings()


@pytest.fixture
def slow(database: str, embeddings: SlowEmbeddings) -> Iterator[Service]:
    """The service with searches that take 0.2 s."""
    with serve(database, lambda _: embeddings, admin_key=ADMIN_KEY) as running:
        running.wait_until_ready()
        yield running


REQUESTS = {
    "/v1/search": {"query": "endpoint number {}"},
    "/v1/answers": {"question": "Which endpoint has number {}?"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "endpoint number {}"}]},
}


async def post(client: httpx.AsyncClient, path: str, number: int) -> httpx.Response:
    body = str(REQUESTS[path]).replace("'", '"').replace("{}", str(number))
    return await client.post(path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("path", REQUESTS)
async def test_requests_that_cannot_be_served_in_time_are_refused(slow: Service, path: str) -> None:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=slow.url, timeout=30, limits=limits) as client:
        await asyncio.gather(*(post(client, path, number) for number in range(8)))
        responses = await asyncio.gather(*(post(client, path, n) for n in range(100, 250)))
        counts = Counter(response.status_code for response in responses)
        assert set(counts) == {200, 503}, counts
        assert counts[200] >= 4
        metrics = (await client.get("/metrics")).text
        assert f'docsqa_refusals_total{{reason="overloaded"}} {counts[503]}.0' in metrics
        refused = next(each for each in responses if each.status_code == 503)
        assert int(refused.headers["Retry-After"]) >= 1
        assert "overloaded" in refused.text
        # At once afterwards, there is room again.
        assert (await post(client, path, 1000)).status_code == 200


async def test_operator_sees_that_the_service_is_saturated_not_broken(slow: Service) -> None:
    async with httpx.AsyncClient(base_url=slow.url, timeout=30) as client:

        async def keep_asking() -> None:
            while not is_seen:
                await post(client, "/v1/search", 1)

        is_seen = False
        await asyncio.gather(*(post(client, "/v1/search", number) for number in range(8)))
        load = [asyncio.create_task(keep_asking()) for _ in range(60)]
        async with asyncio.timeout(20):
            while not is_seen:
                ready = await client.get("/readyz")
                assert ready.status_code == 200
                is_seen = ready.json()["saturated"]
        await asyncio.gather(*load)
        assert (await client.get("/healthz")).status_code == 200
        metrics = (await client.get("/metrics")).text
        assert 'docsqa_refusals_total{reason="overloaded"}' in metrics
        assert not (await client.get("/readyz")).json()["saturated"]


@pytest.fixture
def saturated(database: str) -> Iterator[Service]:
    """The service whose threads are all occupied, and which may let no search wait."""
    release = threading.Event()

    class WaitingEmbeddings(WordEmbeddings):
        def embed_queries(self, texts: list[str]) -> list[list[float]]:
            if texts[0].startswith("endpoint"):
                release.wait(60)
            return super().embed_queries(texts)

    embeddings = WaitingEmbeddings()
    with serve(database, lambda _: embeddings, max_wait_seconds=1e-6) as service:
        service.wait_until_ready()
        threads = [
            threading.Thread(target=service.http.post, args=("/v1/search",), kwargs={"json": body})
            for body in ({"query": f"endpoint {number}"} for number in range(AT_ONCE))
        ]
        for thread in threads:
            thread.start()
        until(lambda: service.http.get("/readyz").json()["saturated"], within=20)
        yield service
        release.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/search"), ("POST", "/v1/chat/completions"), ("HEAD", "/"), ("GET", "/a b?c=d")],
)
def test_server_refuses_as_the_app_does(saturated: Service, method: str, path: str) -> None:
    http, headers = saturated.http, {"X-Request-ID": "the-request"}
    by_server = http.request(method, path, json={}, headers=headers)
    route = path if method == "POST" else "none"
    of_app = f'docsqa_request_seconds_count{{route="{route}",status="503"}}'
    assert of_app not in http.get("/metrics").text
    by_app = http.request(method, path, json={}, headers=headers | {"Origin": saturated.url})
    assert of_app in http.get("/metrics").text
    assert by_server.status_code == by_app.status_code == 503
    assert by_server.text == by_app.text
    for response in (by_server, by_app):
        del response.headers["date"]
    assert by_server.headers == by_app.headers
    assert by_server.headers["X-Request-ID"] == "the-request"


async def test_requests_that_do_not_search_refuse_no_search(slow: Service) -> None:
    async with httpx.AsyncClient(base_url=slow.url, timeout=30) as client:
        await asyncio.gather(*(post(client, "/v1/search", number) for number in range(8)))
        others = await asyncio.gather(*(client.post("/nothing") for _ in range(100)))
        assert {each.status_code for each in others} == {404}
        assert (await post(client, "/v1/search", 9)).status_code == 200


async def test_searches_of_disconnected_clients_do_not_begin(
    slow: Service, embeddings: SlowEmbeddings
) -> None:
    request = b'{"query": "endpoint"}'
    writers = [await begin(slow, "POST /v1/search", request) for _ in range(4 * AT_ONCE)]
    await asyncio.sleep(SEARCH_SECONDS / 2)
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(4 * SEARCH_SECONDS)
    assert 0 < len(embeddings.queries) <= 2 * AT_ONCE


async def begin(service: Service, route: str, body: bytes, length: int = 0) -> asyncio.StreamWriter:
    """Send a request on a connection of its own; with a length, only the beginning of its body."""
    host, port = service.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    headers = (
        f"{route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {ADMIN_KEY}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    writer.write(headers.encode() + body)
    await writer.drain()
    return writer


def test_late_event_loop_saturates_only_while_many_requests_are_in_progress() -> None:
    load = Load(ConcurrencyLimit(1), max_wait=1.0, llm_calls=1, count_refusal=lambda reason: None)

    async def block() -> None:
        watching = asyncio.create_task(load.watch())
        for _ in range(10):
            await asyncio.sleep(0.01)
            time.sleep(10 * MAX_LATENESS)  # noqa: ASYNC251 - that is what makes the loop late
        watching.cancel()

    asyncio.run(block())
    assert not load.is_saturated
    load.in_progress = 1000
    assert load.is_saturated


async def test_uploads_in_progress_are_limited(slow: Service) -> None:
    unfinished = [
        await begin(slow, f"PUT /v1/documents/{number}.md", b"# A", length=100)
        for number in range(MAX_UPLOADS)
    ]
    async with httpx.AsyncClient(base_url=slow.url, timeout=30) as client:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        response = await client.put("/v1/documents/other.md", content=b"# A", headers=headers)
        metrics = (await client.get("/metrics")).text
    assert response.status_code == 503
    assert "overloaded" in response.text
    assert 'docsqa_refusals_total{reason="overloaded"} 1.0' in metrics
    for writer in unfinished:
        writer.close()
        await writer.wait_closed()
