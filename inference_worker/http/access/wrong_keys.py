"""Slows down clients that guess keys."""

from cachetools import LRUCache, TTLCache

from inference_worker.http.server.connections import client_of

MAX_WRONG = 10
"""Wrong keys from one address in WINDOW_SECONDS, after which its keys are not looked at."""
WINDOW_SECONDS = 60.0
_MAX_ADDRESSES = 10_000


class WrongKeys:
    """Counts wrong keys by address.

    An address that has sent too many is refused without a look at the key, which could otherwise be
    a right guess; except for keys that were right from there before, as several clients may share
    an address.
    """

    def __init__(self) -> None:
        self._wrong: TTLCache[str, int] = TTLCache(_MAX_ADDRESSES, WINDOW_SECONDS)
        self._right: LRUCache[tuple[str, str], bool] = LRUCache(_MAX_ADDRESSES)

    def refuses(self, address: str, digest: str) -> bool:
        """Whether a key from this address is not to be looked at."""
        network = client_of(address)
        is_slowed = self._wrong.get(network, 0) >= MAX_WRONG
        return is_slowed and (network, digest) not in self._right

    def count(self, address: str) -> None:
        """Count a wrong key; the window begins anew."""
        network = client_of(address)
        self._wrong[network] = self._wrong.get(network, 0) + 1

    def confirm(self, address: str, digest: str) -> None:
        """Remember a right key."""
        self._right[client_of(address), digest] = True
