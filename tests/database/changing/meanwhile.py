"""A replacement for `time.sleep` during which another writer writes."""

from collections.abc import Callable


class Meanwhile:
    """Replaces the pause before the last check: another writer writes during it."""

    def __init__(self, *writes: Callable[[], None]) -> None:
        self._writes = list(writes)

    def sleep(self, seconds: float) -> None:
        if self._writes:
            self._writes.pop(0)()
