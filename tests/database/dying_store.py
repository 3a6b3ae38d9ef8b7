"""A store whose process is killed at a chosen write; earlier writes are kept."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

from database.index.store import NEVER_SYNC, Store

if TYPE_CHECKING:
    from chromadb import Collection

_WRITES = {"add", "upsert", "update", "delete", "modify"}


class KilledError(BaseException):
    """Ends the process: a BaseException that no handler of the code under test catches."""


class DyingStore(Store):
    """A store that passes on a number of writes and dies instead of the next."""

    def __init__(self, store: Store, writes: int) -> None:
        super().__init__(store.client, store.database)
        self.left = writes

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KilledError

    def find(self, name: str) -> "Collection | None":
        found = super().find(name)
        return _Dying(found, self) if found is not None else None  # type: ignore[return-value]

    def create(self, name: str, metadata: dict[str, Any], rows: int = NEVER_SYNC) -> "Collection":
        self.count()
        return _Dying(super().create(name, metadata, rows), self)  # type: ignore[return-value]

    def delete(self, name: str) -> None:
        self.count()
        super().delete(name)


def kill_at_each_write(
    store: Store, action: Callable[[Store], object], at_least: int = 0
) -> Iterator[None]:
    """Run an action, killed before its first write, then before its second, until it survives.

    Yields after each kill, and fails unless there are `at_least` that many.
    """
    for writes in count():
        try:
            action(DyingStore(store, writes))
        except KilledError:
            yield
        else:
            assert writes >= at_least
            return


class _Dying:
    def __init__(self, collection: "Collection", store: DyingStore) -> None:
        self._collection = collection
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in _WRITES:
            self._store.count()
        return getattr(self._collection, name)
