"""A cache of which the missing values are computed together, as in one request to an API."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")


class BatchCache(Generic[Value]):
    """The values of recently used texts; thread-safe. No text stays in memory, only its hash.

    Args:
        size: How many values are kept.
        compute: Returns the value of each of several different texts.
    """

    def __init__(self, size: int, compute: Callable[[list[str]], Sequence[Value]]) -> None:
        self._compute = compute
        self._cache: LRUCache[bytes, Value] = LRUCache(size)
        self._lock = Lock()

    def get(self, texts: Iterable[str]) -> dict[str, Value]:
        """The value of each text, in the order of the texts."""
        keys = {text: _key(text) for text in texts}
        with self._lock:
            values = {text: self._cache[key] for text, key in keys.items() if key in self._cache}
        if new := [text for text in keys if text not in values]:
            values.update(zip(new, self._compute(new), strict=True))
            with self._lock:
                self._cache.update({keys[text]: values[text] for text in new})
        return {text: values[text] for text in keys}


def _key(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
