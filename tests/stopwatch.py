"""CPU time limits for a block: of its own thread only, without garbage collection."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Fail if the block takes more CPU seconds of this thread."""
    gc.disable()
    try:
        began = time.thread_time()
        yield
        took = time.thread_time() - began
    finally:
        gc.enable()
    assert took < seconds, f"{took:.3f} s"


def assert_linear_time(
    work: Callable[[str], object], unit: str, *, prefix: str = "", suffix: str = ""
) -> None:
    """Fail if `work` takes far more than eight times as long on a text eight times as long.

    If the time were quadratic, it would take 64 times as long. Times below 0.05 s are not compared.
    """
    short, long = (f"{prefix}{unit * (length // len(unit))}{suffix}" for length in (1_600, 12_800))
    work(short)  # imports and caches
    began = time.thread_time()
    work(short)
    with takes_less_than(0.05 + 32 * (time.thread_time() - began)):
        work(long)
