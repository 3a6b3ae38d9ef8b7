"""Overloads a running service: python -m tests.attacks.load URL [--route search|answers].

First measures the peak: requests a second that clients complete who wait for each response. Then
sends requests at multiples of it, whether or not the earlier ones were answered (an open loop), and
reports per offered load the goodput (complete responses within --patience), latency, refusals, the
service's memory, and how soon after the load a single request is answered normally again.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from dataset.markdown.writer import pipe_table

ROUTES = {"search": ("/v1/search", "query"), "answers": ("/v1/answers", "question")}
QUESTIONS = (
    "How to check if an endpoint is KMS encrypted",
    "How do I create a notebook instance lifecycle configuration",
    "What is the maximum payload of a real-time endpoint",
    "How to delete a model package group",
    "Enable network isolation in training",
)
NORMAL = 2.0
"""The service has recovered once a request takes at most this multiple of its time before."""


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
    """Sends requests on kept connections; cheaper than a library, as it shares the cores."""

    def __init__(self, url: str, route: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        self._path, self._field = ROUTES[route]
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._numbers = itertools.count()

    async def ask(self) -> int:
        """Ask a question that was not asked before; the status of the response."""
        number = next(self._numbers)
        text = f"{QUESTIONS[number % len(QUESTIONS)]} in case {number}"
        body = json.dumps({self._field: text}).encode()
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


async def timed(ask: Callable[[], Awaitable[int]], outcomes: Outcomes, patience: float) -> None:
    """Ask once, and count the outcome."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(patience):
            status = await ask()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        outcomes.other[type(error).__name__] += 1
    else:
        outcomes.add(status, time.perf_counter() - begun, patience)


async def closed_loop(client: HttpClient, clients: int, seconds: float, patience: float) -> float:
    """The requests per second that this number of clients complete."""
    outcomes, end = Outcomes(), time.perf_counter() + seconds

    async def repeat() -> None:
        while time.perf_counter() < end:
            await timed(client.ask, outcomes, patience)

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


def memory(process: int | None) -> str:
    """Resident memory of the service's process, in MiB."""
    if process is None:
        return "-"
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return f"{int(next(each for each in lines if each.startswith('VmRSS')).split()[1]) >> 10}"


async def recovery(client: HttpClient, normal: float) -> float:
    """Seconds until a request is answered as fast as before."""
    begin = time.perf_counter()
    while (passed := time.perf_counter() - begin) < 300:
        outcomes = Outcomes()
        await timed(client.ask, outcomes, 10.0)
        if outcomes.served and outcomes.served[0] <= NORMAL * normal:
            return passed
        await asyncio.sleep(0.1)
    return passed


def percentile(values: list[float], percent: int) -> str:
    """A percentile in milliseconds."""
    if len(values) < 2:
        return "-"
    return f"{1000 * quantiles(values, n=100, method='inclusive')[percent - 1]:.0f}"


async def measure(arguments: argparse.Namespace) -> list[list[str]]:
    """Measure the peak and each load; a row of figures per load."""
    client = HttpClient(arguments.url, arguments.route)
    patience = arguments.patience
    await closed_loop(client, 4, 3.0, patience)
    alone = Outcomes()
    for _ in range(20):
        await timed(client.ask, alone, patience)
    normal = sorted(alone.served)[len(alone.served) // 2]
    peak = await closed_loop(client, arguments.clients, arguments.seconds, patience)
    rows = [["offered /s", "goodput /s", "of the peak", "p50 ms", "p99 ms", "refused",
             "p99 of refusals ms", "other", "MiB before", "MiB after", "normal after s"],
            [f"peak, {arguments.clients} clients", f"{peak:.1f}", "1.00",
             *["-"] * 6, memory(arguments.process), "-"]]  # fmt: skip
    for factor in arguments.factors:
        before = memory(arguments.process)
        outcomes = await open_loop(client, factor * peak, arguments.seconds, patience)
        goodput = len(outcomes.served) / arguments.seconds
        normal_after = await recovery(client, normal)
        other = ", ".join(f"{count} {name}" for name, count in outcomes.other.items())
        rows.append([
            f"{factor * peak:.0f} ({factor:g} x)", f"{goodput:.1f}", f"{goodput / peak:.2f}",
            percentile(outcomes.served, 50), percentile(outcomes.served, 99),
            str(len(outcomes.refused)), percentile(outcomes.refused, 99), other or "none",
            before, memory(arguments.process), f"{normal_after:.1f}",
        ])  # fmt: skip
    return rows


def main() -> int:
    """Overload the service, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.load", description=__doc__)
    add = parser.add_argument
    add("url", help="of a service on this machine")
    add("--route", choices=ROUTES, default="search")
    add("--factors", type=float, nargs="+", default=[0.5, 1, 2, 5, 10], help="times the peak")
    add("--seconds", type=float, default=30.0, help="per load (default: %(default)g)")
    add("--clients", type=int, default=8, help="that measure the peak (default: %(default)s)")
    add("--patience", type=float, default=10.0, help="seconds that a client waits")
    add("--process", type=int, metavar="ID", help="the service's, to measure its memory")
    arguments = parser.parse_args()
    if urlsplit(arguments.url).hostname not in ("localhost", "127.0.0.1", "::1"):
        parser.error("only a service on this machine may be overloaded")
    sys.stdout.write(pipe_table(asyncio.run(measure(arguments))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
