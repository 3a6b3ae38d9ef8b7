"""CPU time limits for a block: of its own thread only, without garbage collection."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Fail if the block takes more CPU seconds of this thread."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time()
        yield
        took = time.thread_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"{took:.2f} s"
