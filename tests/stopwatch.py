"""The time that code itself takes: no other thread's, and no collection of others' garbage."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Fail where the block costs this thread more of the processor."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time()
        yield
        took = time.thread_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"{took:.2f} s"
