"""Verifies an index against its digests: what a reader has loaded, or all rows as they are stored.

`python -m database.reading.verification FOLDER` verifies an embedded index as it is on disk, in a
process of its own: the service has its vector files in memory, and a damaged file can kill the
process that opens it. It exits with status 3 and one line if the index is damaged.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing

from database.index import rows, word_vectors
from database.index.checks.collection_check import count_and_query, verify_recall
from database.index.connection import damaged_index_error
from database.index.digests import Digests, batch_of
from database.index.live_pointer import LivePointer
from database.index.store import MAX_EXACT_CHUNKS, Store, open_store
from database.journal.uploads import Uploads, is_current
from utils.errors import DocsQAError, IndexDamagedError

DAMAGED = 3
"""Exit status; not 1, with which Python reports any error."""
_LOWEST_PRIORITY = 19


def verify_digests(store: Store, live: LivePointer, written: str, found: Digests) -> None:
    """Compare the digests of what was read at a revision with those written.

    Documents changed since, whose rows may have been deleted while they were read, are left out.

    Raises:
        IndexDamagedError: they differ.
    """
    damaged = found.damaged_batches(Digests.parse(written))
    now = store.live() if damaged else None
    if now is not None and now.is_same_build(live):
        damaged -= {batch_of(name) for name in Uploads(store).visible(now, live.revision)}
    if damaged:
        raise damaged_index_error(store.database, "is damaged: its rows differ from those written")


def verify_stored(store: Store, pause: Callable[[float], None] = lambda seconds: None) -> None:
    """Read all of the live index as it is stored, and compare it with its digests.

    Args:
        store: The store of the index.
        pause: Called after each page with the seconds that it took.

    Raises:
        IndexUnavailableError: the index is damaged, or cannot be read.
    """
    live, collection, fingerprint = store.live_collection()
    count_and_query(store, live.name)
    shown = Uploads(store).visible(live, live.since)
    digests = Digests()
    with store.translate_errors():
        started = time.perf_counter()
        for page in rows.raw_pages(collection, rows.PAGE):
            read = map(rows.to_row, page)
            digests.add_rows(row for row in read if is_current(row.chunk, live, shown))
            pause(time.perf_counter() - started)
            started = time.perf_counter()
    if fingerprint.digests:
        verify_digests(store, live, fingerprint.digests, digests)
    word_vectors.read_word_vectors(store, live.name)
    if fingerprint.chunks > MAX_EXACT_CHUNKS:
        verify_recall(store, collection, fingerprint)


def main(argv: list[str]) -> int:
    """Verify one folder."""
    (folder,) = argv
    os.nice(_LOWEST_PRIORITY)
    try:
        with closing(open_store(folder)) as store:
            verify_stored(store)
    except IndexDamagedError as error:
        sys.stderr.write(f"{error}\n")
        return DAMAGED
    except DocsQAError:
        return 0  # there is no index any more, which the reader finds out itself
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
