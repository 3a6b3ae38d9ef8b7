"""Pulls the snapshot that the settings name into a store without an index."""

import time
from contextlib import closing
from functools import partial

from database.index.lock import BuildLock
from database.index.store import LONG_REQUEST_SECONDS, Store, connect
from database.journal import staging
from database.snapshot.catalogue import find_snapshot
from database.snapshot.file_systems import StorageTimeouts
from database.snapshot.model_check import verify_model
from database.snapshot.pull import ModelCheck, pull
from dataset.progress import Progress, ignore_progress, report_progress
from utils.errors import IndexLockedError, IndexMissingError
from utils.settings import Settings

_POLL_SECONDS = 2.0


def pull_if_missing(
    store: Store,
    url: str,
    sha256: str | None,
    *,
    check_model: ModelCheck,
    timeouts: StorageTimeouts | None = None,
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
        snapshot = find_snapshot(url, sha256, timeouts)
        return pull(store, snapshot, check_model=check_model, progress=progress).changed
    return False


def pull_configured(settings: Settings, store: Store) -> bool:
    """Pull the snapshot that the settings name, if any; returns whether it was pulled.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return False
    with report_progress("Pulling the snapshot", "B") as progress:
        return pull_if_missing(
            store,
            settings.snapshot_url,
            settings.snapshot_sha256,
            check_model=partial(verify_model, settings=settings),
            progress=progress,
        )


def pull_at_start(settings: Settings) -> None:
    """Pull the snapshot when a service starts; waits while another process does so.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return
    with closing(connect(settings, timeout=LONG_REQUEST_SECONDS, create=True)) as store:
        while True:
            try:
                pull_configured(settings, store)
            except IndexLockedError:
                time.sleep(_POLL_SECONDS)
            else:
                return
