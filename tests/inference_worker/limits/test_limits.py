"""Clients use as much as their rates and the budget allow, whatever counts it."""

import asyncio
import logging
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from inference_worker.answer import TokenUsage
from inference_worker.limits import counters, rate_limiter, redis_counters, spending
from inference_worker.limits.counters import Change, Counters, FileCounters, MemoryCounters
from inference_worker.limits.rate_limiter import (
    NOBODY,
    Client,
    RateLimiter,
    RateUse,
    current_client,
)
from inference_worker.limits.redis_counters import RedisCounters
from inference_worker.limits.spending import BUDGET_SPENT, CLIENT_EXHAUSTED, Spending, TokenBudget
from inference_worker.limits.usage import usage_limits_from
from tests.servers.service import until
from utils.errors import SettingsError
from utils.rates import Rate, parse_rates
from utils.settings import PROJECT_ROOT, Settings

START = 1_800_000_000.0
"""The beginning of a minute, an hour and a day."""


class Clock:
    """Time that passes only when a test sets it."""

    def __init__(self) -> None:
        self.now = START

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limiter, "time", clock)
    return clock


def client(text: str, name: str = "address:192.0.2.1") -> Client:
    return Client(name, parse_rates(text))


class RedisServer:
    """A real Redis on a free port, which keeps nothing."""

    def __init__(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command = ["redis-server", *options, "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, within=10)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _answers(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(
    params=[
        "memory",
        pytest.param("file", marks=pytest.mark.process),
        pytest.param("redis", marks=pytest.mark.process),
    ]
)
async def any_counters(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counters]:
    created: Counters = MemoryCounters()
    if request.param == "file":
        created = FileCounters(tmp_path / "state" / "counters.sqlite3")
    elif request.param == "redis":
        created = RedisCounters(request.getfixturevalue("redis").url, MemoryCounters())
    yield created
    await created.aclose()


async def test_counters_add_and_read(any_counters: Counters) -> None:
    assert await any_counters.add([Change("a", 2, 60), Change("b", 0, 60)]) == [2, 0]
    assert await any_counters.add([Change("b", 5, 60), Change("a", 1, 60)]) == [5, 3]
    assert await any_counters.add([Change("a", -3, 60), Change("b", 0, 60)]) == [0, 5]


async def test_rate_is_limited_exactly(any_counters: Counters, clock: Clock) -> None:
    limiter = RateLimiter(any_counters)
    asking = client("requests 3/minute 5/day")
    outcomes = [not (await limiter.admit(asking, "requests")).exhausted for _ in range(4)]
    assert outcomes == [True, True, True, False]
    assert not (await limiter.admit(client("requests 3/minute", "other"), "requests")).exhausted
    clock.now += 120
    outcomes = [not (await limiter.admit(asking, "requests")).exhausted for _ in range(3)]
    assert outcomes == [True, True, False]
    refused = await limiter.admit(asking, "requests")
    assert [use.rate.period for use in refused.exhausted] == ["day"]


async def test_refused_use_does_not_count(clock: Clock) -> None:
    limiter = RateLimiter(MemoryCounters())
    asking = client("requests 10/minute")
    for _ in range(1000):
        refused = await limiter.admit(asking, "requests")
    assert [use.current for use in refused.uses] == [10]
    clock.now += refused.retry_after
    assert not (await limiter.admit(asking, "requests")).exhausted


@pytest.mark.parametrize("begin", [0.0, 7.5, 59.0])
@pytest.mark.parametrize("amount", [10, 600])
async def test_burst_becomes_free_little_by_little(begin: float, amount: int, clock: Clock) -> None:
    """A client that asks as often as it may gets no second burst, and the amount on average."""
    limiter = RateLimiter(MemoryCounters())
    asking = client(f"requests {amount}/minute")
    clock.now += begin
    admitted: list[float] = []
    while clock.now < START + 600:
        outcome = await limiter.admit(asking, "requests")
        if outcome.exhausted:
            clock.now += min(outcome.retry_after, 0.5)
        else:
            admitted.append(clock.now)
    assert admitted[:amount] == [START + begin] * amount
    seconds, later = 10, admitted[amount:]
    most = max(sum(0 <= other - first < seconds for other in later) for first in later)
    assert most <= amount * 2 * seconds / 60 + 1
    assert amount * 8 <= len(later) <= amount * 10.5


@pytest.mark.parametrize(
    ("current", "previous", "elapsed", "seconds"),
    [
        (0, 0, 0.5, 0.0),
        (9, 0, 0.5, 0.0),
        (10, 0, 0.5, 30.0),  # in the next window, once 10 count for less
        (0, 10, 0.0, 0.0),
        (5, 10, 0.0, 30.0),
        (20, 0, 0.0, 60.0 + 30.0),
    ],
)
def test_time_until_one_more_may_be_used(
    current: int, previous: int, elapsed: float, seconds: float
) -> None:
    use = RateUse(Rate("requests", 10, "minute"), current, previous, elapsed)
    assert use.seconds_until_one == pytest.approx(seconds)


async def test_tokens_are_counted_after_their_use_and_refuse_the_next(clock: Clock) -> None:
    limiter = RateLimiter(MemoryCounters())
    asking = client("requests 10/minute, calls 10/minute, tokens 1000/minute")
    await limiter.record(asking, "tokens", 999)
    assert not (await limiter.admit(asking, "calls", "tokens")).exhausted
    await limiter.record(asking, "tokens", 5000)
    refused = await limiter.admit(asking, "calls", "tokens")
    assert [use.rate.name for use in refused.exhausted] == ["tokens-per-minute"]
    calls, tokens = refused.uses
    assert (calls.current, tokens.current) == (1, 5999)
    assert refused.retry_after == pytest.approx(60 + 60 * (1 - 1000 / 5999), abs=1)


async def test_client_without_rates_is_not_counted() -> None:
    kept = MemoryCounters()
    limiter = RateLimiter(kept)
    assert not (await limiter.admit(NOBODY, "calls", "tokens")).uses
    await limiter.record(NOBODY, "tokens", 10)
    assert len(kept) == 0


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_KEYS", 10)
    kept = MemoryCounters()
    for number in range(100):
        await kept.add([Change(f"{number}", 1, 60)])
    assert len(kept) == 10


async def test_calls_at_once_get_no_more_than_the_amount(any_counters: Counters) -> None:
    limiter, asking = RateLimiter(any_counters), client("calls 10/day")
    outcomes = await asyncio.gather(*(limiter.admit(asking, "calls") for _ in range(40)))
    assert sum(not outcome.exhausted for outcome in outcomes) == 10


# Spending.


async def test_call_is_refused_for_a_client_or_for_all(tmp_path: Path) -> None:
    limiter = RateLimiter(MemoryCounters())
    budget = TokenBudget(1000, FileCounters(tmp_path / "budget.sqlite3"))
    account = Spending(limiter, budget)
    current_client.set(client("calls 2/day"))
    assert [await account.admit_call() for _ in range(3)] == ["", "", CLIENT_EXHAUSTED]
    current_client.set(client("none", "other"))
    await account.record(TokenUsage(900, 100))
    assert await account.admit_call() == BUDGET_SPENT
    assert (budget.spent, budget.monthly) == (1000, 1000)


async def test_budget_begins_anew_each_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Calendar:
        today = datetime(2026, 11, 30, tzinfo=UTC)

        @classmethod
        def now(cls, zone: object) -> datetime:
            return cls.today

    monkeypatch.setattr(spending, "datetime", Calendar)
    budget = TokenBudget(10, FileCounters(tmp_path / "budget.sqlite3"))
    await budget.record(25)
    assert await budget.is_spent()
    assert await budget.is_spent()
    Calendar.today = datetime(2026, 12, 1, tzinfo=UTC)
    assert not await budget.is_spent()
    (line,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "budget of 2026-11 is spent (10)" in line.message


@pytest.mark.process
def test_file_keeps_what_a_killed_process_counted(tmp_path: Path) -> None:
    file = tmp_path / "budget.sqlite3"
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from inference_worker.limits.counters import Change, FileCounters\n"
        "counters = FileCounters(Path(sys.argv[1]))\n"
        "for _ in range(5): asyncio.run(counters.add([Change('tokens', 10, 60)]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(file)]
    running = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(2)]
    assert [process.wait(60) for process in running] == [-signal.SIGKILL] * 2
    assert asyncio.run(FileCounters(file).add([Change("tokens", 0, 60)])) == [100]


async def test_reading_a_file_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "budget.sqlite3"
    kept = FileCounters(file)
    await kept.add([Change("tokens", 5, 60)])
    before = file.read_bytes()
    assert await kept.add([Change("tokens", 0, 60), Change("others", 0, 60)]) == [5, 0]
    assert file.read_bytes() == before


async def test_expired_counters_leave_the_file(tmp_path: Path) -> None:
    file = tmp_path / "budget.sqlite3"
    await FileCounters(file).add([Change("old", 1, -1), Change("new", 1, 60)])
    FileCounters(file)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT key FROM counters").fetchall() == [("new",)]


async def test_what_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = FileCounters(tmp_path / "budget.sqlite3")
    await kept.add([Change("tokens", 5, 60)])
    write = kept._add  # noqa: SLF001

    def fail(changes: object) -> list[int]:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(kept, "_add", fail)
    assert [await kept.add([Change("tokens", 1, 60)]) for _ in range(3)] == [[6], [7], [8]]
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    monkeypatch.setattr(kept, "_add", write)
    assert await kept.add([Change("tokens", 1, 60)]) == [9]
    assert await FileCounters(tmp_path / "budget.sqlite3").add([Change("tokens", 0, 60)]) == [9]


@pytest.mark.parametrize("place", ["/proc/no/budget.sqlite3", "."])
def test_file_that_cannot_be_created_is_reported_in_one_line(place: str) -> None:
    with pytest.raises(SettingsError, match=r"^TOKEN_BUDGET_FILE: .*\.$") as refused:
        usage_limits_from(Settings(_env_file=None, token_budget=1, token_budget_file=place))
    assert "\n" not in str(refused.value)


# Redis.


@pytest.mark.process
async def test_replicas_share_what_redis_counts(redis: RedisServer, clock: Clock) -> None:
    shared = [RedisCounters(redis.url, MemoryCounters()) for _ in range(2)]
    replicas = [RateLimiter(each) for each in shared]
    asking = client("requests 10/minute")
    outcomes = [
        not (await replica.admit(asking, "requests")).exhausted
        for _ in range(8)
        for replica in replicas
    ]
    assert outcomes == [True] * 10 + [False] * 6
    for each in shared:
        await each.aclose()


@pytest.mark.process
async def test_replica_counts_for_itself_while_redis_is_away(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(redis_counters, "_PAUSE", 0.0)
    shared = RedisCounters(redis.url, MemoryCounters())
    assert await shared.add([Change("a", 3, 60)]) == [3]
    redis.stop()
    assert [await shared.add([Change("a", 1, 60)]) for _ in range(2)] == [[1], [2]]
    redis.start()
    assert await shared.add([Change("a", 1, 60)]) == [1]  # it keeps nothing
    await shared.aclose()
    assert [each.message.split("(")[0] for each in caplog.records] == [
        "Redis does not answer ",
        "Redis answers again",
    ]


@pytest.mark.process
async def test_spent_budget_stays_spent_while_redis_is_away(
    redis: RedisServer, tmp_path: Path
) -> None:
    shared = RedisCounters(redis.url, FileCounters(tmp_path / "budget.sqlite3"))
    budget = TokenBudget(1000, shared)
    await budget.record(5000)
    redis.stop()
    assert await budget.is_spent()
    redis.start()
    await shared.aclose()


@pytest.mark.process
async def test_burst_does_not_count_as_an_outage_of_redis(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_counters, "_PATIENCE", 10.0)  # however busy this machine is
    shared = RedisCounters(redis.url, MemoryCounters())
    await asyncio.gather(*(shared.add([Change("a", 1, 60)]) for _ in range(300)))
    assert await shared.add([Change("a", 0, 60)]) == [300]
    assert not caplog.records
    await shared.aclose()


@pytest.mark.process
async def test_counters_in_redis_expire(redis: RedisServer) -> None:
    shared = RedisCounters(redis.url, MemoryCounters())
    await shared.add([Change("a", 3, 60), Change("b", 0, 60)])
    async with Redis.from_url(redis.url) as database:
        assert await database.keys() == [b"docsqa:a"]
        assert 0 < await database.ttl("docsqa:a") <= 60
    await shared.aclose()


@pytest.mark.parametrize("url", ["redis://:secret@h:port", "redis://:12secret/abc@redis:6379"])
def test_malformed_address_of_redis_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^REDIS_URL: ") as refused:
        usage_limits_from(Settings(_env_file=None, redis_url=SecretStr(url)))
    assert "secret" not in str(refused.value)
