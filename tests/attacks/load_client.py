"""Clients that load a service: in a closed loop they wait for each response, in an open one not."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

QUESTIONS = (
    "How to check if an endpoint is KMS encrypted",
    "How do I create a notebook instance lifecycle configuration",
    "What is the maximum payload of a real-time endpoint",
    "How to delete a model package group",
    "Enable network isolation in training",
)
_PAUSE = 0.1
"""Seconds before a client of a closed loop asks again after a refusal."""
_NORMAL = 2.0
"""The service has recovered once a request takes at most this multiple of its time before."""
_RECOVERY_SECONDS = 300.0


@dataclass
class Outcomes:
    """What became of the requests; times in seconds."""

    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)

    def add(self, status: int, seconds: float, patience: float) -> None:
        """Count a response."""
        if status == 200 and seconds <= patience:
            self.served.append(seconds)
        elif status in (429, 503):
            self.refused.append(seconds)
        else:
            self.other["late" if status == 200 else str(status)] += 1


class HttpClient:
    """Sends requests on kept connections; cheaper than a library, as it shares the cores.

    Args:
        url: Address of the service.
        path: The route.
        parameter: The field of its body that contains the question.
    """

    def __init__(self, url: str, path: str, parameter: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._path, self._parameter = path, parameter
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._numbers = itertools.count()

    async def ask(self) -> int:
        """Ask a question that was not asked before; the status of the response."""
        number = next(self._numbers)
        text = f"{QUESTIONS[number % len(QUESTIONS)]} in case {number}"
        body = json.dumps({self._parameter: text}).encode()
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        while self._free and self._free[-1][0].at_eof():
            self._free.pop()[1].close()
        reader, writer = (
            self._free.pop()
            if self._free
            else await asyncio.open_connection(self._host, self._port)
        )
        try:
            writer.write(head.encode() + body)
            response = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(response.partition("content-length: ")[2].split("\r\n", 1)[0])
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in response:
            writer.close()
        else:
            self._free.append((reader, writer))
        return int(response.split(" ", 2)[1])


async def timed(ask: Callable[[], Awaitable[int]], outcomes: Outcomes, patience: float) -> int:
    """Ask once, and count the outcome; the status, or 0 without a response."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(patience):
            status = await ask()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        outcomes.other[type(error).__name__] += 1
        return 0
    outcomes.add(status, time.perf_counter() - begun, patience)
    return status


async def closed_loop(client: HttpClient, clients: int, seconds: float, patience: float) -> float:
    """The requests per second that this number of clients complete."""
    outcomes, end = Outcomes(), time.perf_counter() + seconds

    async def repeat() -> None:
        while time.perf_counter() < end:
            if await timed(client.ask, outcomes, patience) != 200:
                await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(repeat() for _ in range(clients)))
    return len(outcomes.served) / seconds


async def open_loop(client: HttpClient, rate: float, seconds: float, patience: float) -> Outcomes:
    """Send requests at a rate, whatever becomes of them."""
    outcomes = Outcomes()
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            group.create_task(timed(client.ask, outcomes, patience))
    return outcomes


async def recovery(client: HttpClient, normal: float) -> float:
    """Seconds until a request is answered about as fast as before."""
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < _RECOVERY_SECONDS:
        outcomes = Outcomes()
        await timed(client.ask, outcomes, 10.0)
        if outcomes.served and outcomes.served[0] <= _NORMAL * normal:
            return passed
        await asyncio.sleep(0.1)
    return passed
