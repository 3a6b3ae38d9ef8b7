"""Threads that compute have a lower priority than the event loop."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from utils.priority import yield_to_event_loop


def niceness() -> int:
    """Of the calling thread, on Linux."""
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of single threads")
def test_only_the_thread_that_yields_has_a_lower_priority() -> None:
    before = niceness()
    with ThreadPoolExecutor(1, initializer=yield_to_event_loop) as threads:
        assert threads.submit(niceness).result() > before
    assert niceness() == before
