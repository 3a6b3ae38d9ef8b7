"""How far a long job has come: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

Progress = Callable[[int, int | None], None]
"""Called with what is done so far and, where it is known, what there will be."""

_SECONDS_BETWEEN_LINES = 5.0


def ignore_progress(done: int, total: int | None) -> None:
    """Report nothing."""


@contextmanager
def report_progress(label: str, unit: str, stream: TextIO | None = None) -> Iterator[Progress]:
    """Report on a stream, stderr unless told, in the way that suits it.

    Args:
        label: What is being done.
        unit: What is counted; "B" is shown in larger units.
        stream: Where to report.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _lines(label, unit, stream)
        return

    from tqdm import tqdm

    # The bar appears with the first step: a failed connection leaves none behind.
    scaled = unit == "B"
    with tqdm(desc=label, unit=unit, unit_scale=scaled, file=stream, leave=False, delay=0.1) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def line_bar_class(stream: TextIO | None = None) -> "type[tqdm] | None":
    """What a library that reports through tqdm should show; None on a terminal, for its own bar.

    Elsewhere such libraries say nothing, or overwrite a line that no log ever ends.
    """
    out = stream or sys.stderr
    if out.isatty():
        return None

    from tqdm import tqdm

    class LineBar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """A bar that is a plain line every few seconds."""

        def __init__(self, *given: Any, **options: Any) -> None:
            self._said = time.monotonic()
            super().__init__(*given, **options | {"file": out, "ncols": 0})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            """Write the line, if it is time for one."""
            now = time.monotonic()
            if now - self._said >= _SECONDS_BETWEEN_LINES:
                self._said = now
                out.write(f"{self}\n")
                out.flush()

        def close(self) -> None:
            """End without a word: what is done is said by who did it."""
            self.disable = True

    return LineBar


def _lines(label: str, unit: str, stream: TextIO) -> Progress:
    from tqdm import tqdm

    started = last = time.monotonic()

    def line(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_LINES:
            return
        last = now
        # tqdm's own meter, without its bar: count, time spent and left, rate
        meter = tqdm.format_meter(
            done, total, now - started, ncols=0, unit=unit, unit_scale=unit == "B"
        )
        stream.write(f"{label}: {meter}\n")
        stream.flush()

    return line
