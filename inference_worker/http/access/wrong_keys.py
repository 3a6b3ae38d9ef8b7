"""Blocks addresses that guess keys."""

from cachetools import LRUCache, TTLCache

from inference_worker.http.server.connections import client_of

MAX_WRONG = 10
"""Wrong keys from one address, each within WINDOW_SECONDS of the one before, that block it."""
WINDOW_SECONDS = 60.0
"""An address is unblocked this long after its last counted wrong key."""
_MAX_ADDRESSES = 10_000


class WrongKeys:
    """Counts wrong keys by address.

    Keys from a blocked address are not checked, as one could be a correct guess; except those that
    were valid from there before, as several clients may share an address.
    """

    def __init__(self) -> None:
        self._wrong: TTLCache[str, int] = TTLCache(_MAX_ADDRESSES, WINDOW_SECONDS)
        self._right: LRUCache[tuple[str, str], bool] = LRUCache(_MAX_ADDRESSES)

    def blocks(self, address: str, digest: str) -> bool:
        """Whether a key from this address is not to be checked."""
        network = client_of(address)
        is_blocked = self._wrong.get(network, 0) >= MAX_WRONG
        return is_blocked and (network, digest) not in self._right

    def record_wrong(self, address: str) -> None:
        """Count a wrong key; the window begins anew."""
        network = client_of(address)
        self._wrong[network] = self._wrong.get(network, 0) + 1

    def record_valid(self, address: str, digest: str) -> None:
        """Remember a valid key."""
        self._right[client_of(address), digest] = True
