"""Progress of long jobs: a bar on a terminal, otherwise a plain line every few seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

Progress = Callable[[int, int | None], None]
"""Called with the number of units done and, if known, the total."""

_SECONDS_BETWEEN_LINES = 5.0


def ignore_progress(done: int, total: int | None) -> None:
    """Discard progress."""


@contextmanager
def report_progress(label: str, unit: str) -> Iterator[Progress]:
    """Report progress on stderr, as a bar or as lines; the unit "B" is scaled to kB and so on."""
    from tqdm import tqdm

    # Delayed until the first step, so that a failed connection leaves no bar behind.
    options = {"desc": label, "unit": unit, "unit_scale": unit == "B", "delay": 0.1}
    with (line_bar_class() or tqdm)(leave=False, **options) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def line_bar_class() -> "type[tqdm] | None":
    """A tqdm class that writes lines to stderr; None on a terminal, where tqdm's own serves.

    Outside a terminal tqdm prints nothing, or overwrites one line that never ends.
    """
    out = sys.stderr
    if out.isatty():
        return None

    from tqdm import tqdm

    class LineBar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """Writes a plain line every few seconds, with the average rate."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._last_line_at = time.monotonic()
            fixed = {"file": out, "ncols": 0, "smoothing": 0, "miniters": 1}
            super().__init__(*arguments, **options | fixed)

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
