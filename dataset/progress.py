"""Progress of long jobs: a bar on a terminal, otherwise a plain line every few seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

Progress = Callable[[int, int | None], None]
"""Called with the number of units done and, if known, the total."""

_SECONDS_BETWEEN_LINES = 5.0


def ignore_progress(done: int, total: int | None) -> None:
    """Discard progress."""


@contextmanager
def report_progress(label: str, unit: str, stream: TextIO | None = None) -> Iterator[Progress]:
    """Report progress on a stream (default: stderr), as a bar or as lines.

    Args:
        label: Name of the job.
        unit: Unit of the counts; "B" is scaled to kB, MB and so on.
        stream: Destination.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _lines(label, unit, stream)
        return

    from tqdm import tqdm

    # Delayed until the first step, so that a failed connection leaves no bar behind.
    scaled = unit == "B"
    with tqdm(desc=label, unit=unit, unit_scale=scaled, file=stream, leave=False, delay=0.1) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def line_bar_class(stream: TextIO | None = None) -> "type[tqdm] | None":
    """A tqdm class for libraries that report through tqdm; None on a terminal (use their own).

    Outside a terminal such libraries print nothing, or overwrite one line that never ends.
    """
    out = stream or sys.stderr
    if out.isatty():
        return None

    from tqdm import tqdm

    class LineBar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """Writes a plain line every few seconds."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._last_line_at = time.monotonic()
            super().__init__(*arguments, **options | {"file": out, "ncols": 0})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            """Write a line if one is due."""
            now = time.monotonic()
            if now - self._last_line_at >= _SECONDS_BETWEEN_LINES:
                self._last_line_at = now
                out.write(f"{self}\n")
                out.flush()

        def close(self) -> None:
            """End without a last line; the caller reports the result."""
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
        # tqdm's meter without the bar: count, elapsed and remaining time, rate
        meter = tqdm.format_meter(
            done, total, now - started, ncols=0, unit=unit, unit_scale=unit == "B"
        )
        stream.write(f"{label}: {meter}\n")
        stream.flush()

    return line
