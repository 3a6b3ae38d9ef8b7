"""Who is taken for dead, and who is not: the lock of those that write an index."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from database.index import lock as lock_module
from database.index.lock import HEARTBEAT_SECONDS, LOCK, BuildLock, has_exited, read_holder
from database.index.store import Store, open_store
from utils.errors import IndexLockedError, StoreUnreachableError

if TYPE_CHECKING:
    from chromadb import Collection

ELSEWHERE = {"owner": "x", "host": "elsewhere", "pid": 1, "born": "?", "since": "?"}
FIRST, SECOND, LAST = (HEARTBEAT_SECONDS * n for n in (1, 2, 3))
"""When a holder is looked at."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, asleep: Callable[[float], None] = lambda now: None) -> None:
        self.now = 0.0
        self._asleep = asleep

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._asleep(self.now)

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class PassingStore(Store):
    """A store that is away at some moments of a clock."""

    def __init__(self, store: Store, clock: Clock, away_at: float) -> None:
        super().__init__(store._client, store.database)  # noqa: SLF001  # it is that store
        self._clock = clock
        self._away_at = away_at

    def find(self, name: str) -> "Collection | None":
        if self._clock.now == self._away_at:
            raise StoreUnreachableError("Nobody answers.")
        return super().find(name)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with closing(open_store(str(tmp_path_factory.mktemp("lock") / "index"), create=True)) as store:
        yield store


@pytest.fixture
def store(opened: Store) -> Store:
    opened.delete(LOCK)
    return opened


def use(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    monkeypatch.setattr(lock_module, "time", clock)
    return clock


def taken(store: Store) -> dict[str, Any]:
    """What this process notes while it holds the lock."""
    with BuildLock(store):
        holder = read_holder(store)
    assert holder
    return holder


@needs_proc
def test_a_step_of_the_clock_kills_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    booted = psutil._pslinux.boot_time  # noqa: SLF001
    with BuildLock(store):
        holder = read_holder(store)
        assert holder
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted() + 1)  # noqa: SLF001

        assert not has_exited(holder)


@needs_proc
@pytest.mark.parametrize("name", [") S 1 2", "(a b)", "\udcff)"])
def test_a_process_may_be_called_anything(name: str, store: Store) -> None:
    called = Path("/proc/self/comm")
    before = called.read_bytes()
    with BuildLock(store):
        holder = read_holder(store)
        called.write_bytes(os.fsencode(name))
        try:
            assert holder
            assert not has_exited(holder)
        finally:
            called.write_bytes(before)


def test_who_let_go_while_the_store_was_away_is_gone(store: Store) -> None:
    assert has_exited(taken(store))


@pytest.mark.parametrize("born", ["another boot/1", "?"])
def test_a_process_of_the_same_number_that_began_at_another_time_is_another(
    born: str, store: Store
) -> None:
    assert has_exited(taken(store) | {"pid": os.getppid(), "born": born})


def test_a_process_that_got_a_dead_ones_number_is_another(store: Store) -> None:
    holder = taken(store)
    command = [sys.executable, "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        assert has_exited(holder | {"pid": other.pid})
        other.kill()


def test_a_process_that_ended_is_gone(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass
    assert has_exited(taken(store) | {"pid": ended.pid, "born": ""})


@pytest.mark.parametrize("fields", [{"process_started": "1785000000.12"}, {"born": ""}, {}])
def test_where_it_is_not_noted_when_it_began_its_number_decides(fields: dict[str, Any]) -> None:
    """As in the locks of the versions before."""
    holder = {"owner": "x", "host": socket.gethostname(), "since": "?"} | fields
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass

    assert not has_exited(holder | {"pid": os.getppid()})
    assert has_exited(holder | {"pid": ended.pid})


@needs_proc
def test_without_proc_the_moment_of_the_clock_decides(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "_BOOT", Path("/proc/not/there"))
    with BuildLock(store):
        holder = read_holder(store)
        assert holder
        assert float(holder["born"]) == psutil.Process().create_time()
        assert not has_exited(holder)
        assert has_exited(holder | {"born": "1.0"})


def test_nobody_is_taken_for_dead_over_an_outage_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is back at the end, and who holds the lock had no time to beat since."""
    store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    clock = use(monkeypatch, Clock())

    with (
        pytest.raises(StoreUnreachableError),
        BuildLock(PassingStore(store, clock, away_at=SECOND)),
    ):
        pass

    assert clock.now == SECOND
    assert read_holder(store) == ELSEWHERE | {"beat": "1"}


@pytest.mark.parametrize("at", [FIRST, SECOND, LAST])
def test_a_beat_ends_the_wait_at_once(
    at: float, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    assert held

    def beat(now: float) -> None:
        if now == at:
            held.modify(metadata=ELSEWHERE | {"beat": "2"})

    clock = use(monkeypatch, Clock(beat))
    with pytest.raises(IndexLockedError), BuildLock(store):
        pass

    assert clock.now == at


def test_who_does_not_beat_for_three_beats_is_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    clock = use(monkeypatch, Clock())

    with BuildLock(store) as lock:
        assert clock.now == LAST
        assert lock.is_held()
