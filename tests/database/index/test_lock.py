"""The build lock: which holders count as dead, and which do not."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from database.index import lock as lock_module
from database.index import lock_holder
from database.index.lock import HEARTBEAT_SECONDS, LOCK, BuildLock, read_holder
from database.index.lock_holder import describe_this_process, has_exited, is_local
from database.index.store import Store
from utils.errors import IndexLockedError, StoreUnreachableError
from utils.settings import PROJECT_ROOT

ELSEWHERE = {"owner": "x", "host": "elsewhere", "pid": 1, "born": "?", "since": "?"}
FIRST, SECOND, LAST = (HEARTBEAT_SECONDS * n for n in (1, 2, 3))
"""When a holder's heartbeat is read."""

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Clock:
    """Time that passes only in `sleep`."""

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


@pytest.fixture
def store(shared_store: Store) -> Store:
    shared_store.delete(LOCK)
    return shared_store


def use(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    monkeypatch.setattr(lock_module, "time", clock)
    return clock


@contextmanager
def held(store: Store) -> Iterator[dict[str, Any]]:
    """Hold the lock; yields what this process records in it."""
    with BuildLock(store):
        holder = read_holder(store)
        assert holder
        yield holder


def released(store: Store) -> dict[str, Any]:
    """What this process recorded in a lock that it has released."""
    with held(store) as holder:
        return holder


def ended_pid() -> int:
    """The PID of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        return ended.pid


@needs_proc
def test_clock_adjustment_does_not_make_a_holder_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted = psutil._pslinux.boot_time  # noqa: SLF001
    with held(store) as holder:
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted() + 1)  # noqa: SLF001
        assert not has_exited(holder)


@needs_proc
@pytest.mark.parametrize("name", [") S 1 2", "(a b)", "\udcff)"])
def test_any_process_name_is_parsed(name: str, store: Store) -> None:
    called = Path("/proc/self/comm")
    before = called.read_bytes()
    with held(store) as holder:
        called.write_bytes(os.fsencode(name))
        try:
            assert not has_exited(holder)
        finally:
            called.write_bytes(before)


@pytest.mark.parametrize("born", ["another boot/1", "?"])
def test_same_pid_with_another_start_time_is_another_process(born: str, store: Store) -> None:
    assert has_exited(released(store) | {"pid": os.getppid(), "born": born})


def test_process_with_a_reused_pid_is_another_process(store: Store) -> None:
    holder = released(store)
    command = [sys.executable, "-S", "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as other:
        assert has_exited(holder | {"pid": other.pid})
        other.kill()


@pytest.mark.parametrize("fields", [{"process_started": "1785000000.12"}, {"born": ""}, {}])
def test_pid_decides_if_no_start_time_is_recorded(fields: dict[str, Any]) -> None:
    here = describe_this_process("build")
    holder = {name: here[name] for name in ("owner", "host", "namespace", "since")} | fields
    assert not has_exited(holder | {"pid": os.getppid()})
    assert has_exited(holder | {"pid": ended_pid()})


@pytest.mark.parametrize("fields", [{"namespace": "another boot/1"}, {"host": "elsewhere"}])
def test_holder_of_another_namespace_or_host_is_not_judged_by_its_pid(
    fields: dict[str, Any], store: Store
) -> None:
    holder = released(store)
    assert is_local(holder)
    assert has_exited(holder)  # it has released the lock
    assert not is_local(holder | fields)
    assert not has_exited(holder | fields)


def test_lock_of_a_version_that_recorded_no_namespace_is_judged_by_its_heartbeat(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = released(store) | {"pid": ended_pid()}
    del holder["namespace"]
    assert not has_exited(holder)

    store.create_if_absent(LOCK, holder)
    clock = use(monkeypatch, Clock())
    with BuildLock(store):
        assert clock.now == LAST


_OTHER_NAMESPACE = """
import sys
from database.index.lock import BuildLock
from database.index.store import open_store
from utils.errors import IndexLockedError
try:
    with BuildLock(open_store(sys.argv[1]), heartbeat_seconds=0.5):
        print("acquired")
except IndexLockedError:
    print("locked")
"""


@pytest.mark.process
def test_live_holder_of_another_pid_namespace_keeps_the_lock(store: Store) -> None:
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("needs the privilege to create a PID namespace (unshare)")
    command = [*unshare, sys.executable, "-c", _OTHER_NAMESPACE, store.database]
    with BuildLock(store, heartbeat_seconds=0.1) as lock:
        found = subprocess.run(
            command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        )
        assert found.stdout == "locked\n"
        assert lock.is_held()


@needs_proc
def test_without_proc_the_creation_time_decides(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_holder, "_BOOT_ID", Path("/proc/not/there"))
    with held(store) as holder:
        assert float(holder["born"]) == psutil.Process().create_time()
        assert not has_exited(holder)
        assert has_exited(holder | {"born": "1.0"})


def test_outage_of_the_store_does_not_make_a_holder_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store returns only at the end, too late for another heartbeat."""
    store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    find = store.find

    def go_away(now: float) -> None:
        if now == SECOND:
            monkeypatch.setattr(store, "find", unreachable)

    def unreachable(name: str) -> None:
        raise StoreUnreachableError("Nobody answers.")

    clock = use(monkeypatch, Clock(go_away))
    with pytest.raises(StoreUnreachableError), BuildLock(store):
        pass

    monkeypatch.setattr(store, "find", find)
    assert clock.now == SECOND
    assert read_holder(store) == ELSEWHERE | {"beat": "1"}


@pytest.mark.parametrize("at", [FIRST, SECOND, LAST])
def test_heartbeat_ends_the_wait_at_once(
    at: float, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing = store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    assert existing

    def beat(now: float) -> None:
        if now == at:
            existing.modify(metadata=ELSEWHERE | {"beat": "2"})

    clock = use(monkeypatch, Clock(beat))
    with pytest.raises(IndexLockedError), BuildLock(store):
        pass

    assert clock.now == at


def test_holder_without_a_heartbeat_for_three_intervals_is_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_if_absent(LOCK, ELSEWHERE | {"beat": "1"})
    clock = use(monkeypatch, Clock())

    with BuildLock(store) as lock:
        assert clock.now == LAST
        assert lock.is_held()
