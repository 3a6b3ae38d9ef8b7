"""Pulls the snapshot that the settings name into a store without an index."""

from contextlib import closing

from tenacity import Retrying, retry_if_exception_type, wait_fixed

from database.index.lock import BuildLock
from database.index.store import LONG_REQUEST_SECONDS, Store, connect
from database.journal import staging
from database.snapshot.catalogue import find_snapshot
from database.snapshot.pull import pull
from database.snapshot.storage import Storage
from dataset.progress import Progress, ignore_progress, report_progress
from utils.errors import IndexLockedError, IndexMissingError
from utils.settings import Settings

_POLL_SECONDS = 2.0


def pull_if_missing(
    store: Store,
    url: str,
    sha256: str | None,
    settings: Settings | None,
    progress: Progress = ignore_progress,
) -> bool:
    """Pull a snapshot if the store has no index; returns whether it was pulled.

    The address is not accessed if there is an index. Arguments and errors are those of
    `find_snapshot` and `pull`.
    """
    try:
        live, _, _ = store.live_collection()
        if staging.has_staged_uploads(store, live.name):  # by a pull killed after it went live
            with BuildLock(store):
                staging.publish_staged_uploads(store)
    except IndexMissingError:
        snapshot = find_snapshot(Storage(url), sha256)
        return pull(store, snapshot, settings=settings, progress=progress).changed
    return False


def pull_configured(settings: Settings, store: Store) -> None:
    """Pull the snapshot that the settings name, if any, into a store without an index.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is not None:
        with report_progress("Pulling the snapshot", "B") as progress:
            pull_if_missing(
                store, settings.snapshot_url, settings.snapshot_sha256, settings, progress
            )


def pull_at_start(settings: Settings) -> None:
    """Pull the snapshot when a service starts; waits while another process does so.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return
    with closing(connect(settings, timeout=LONG_REQUEST_SECONDS, create=True)) as store:
        poll = Retrying(
            retry=retry_if_exception_type(IndexLockedError), wait=wait_fixed(_POLL_SECONDS)
        )
        poll(pull_configured, settings, store)
