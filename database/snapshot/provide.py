"""Begins with a snapshot where the settings name one and nothing was built yet."""

import time
from contextlib import closing
from functools import partial

from database.index.lock import BuildLock
from database.index.store import LONG_REQUEST_SECONDS, Store, connect
from database.journal import staging
from database.snapshot.catalogue import find_snapshot
from database.snapshot.file_systems import StorageTimeouts
from database.snapshot.model_check import verify_model
from database.snapshot.pull import CheckModel, pull
from dataset.progress import Progress, ignore_progress, report_progress
from utils.errors import IndexLockedError, IndexMissingError
from utils.settings import Settings

_LOOK_SECONDS = 2.0


def pull_if_missing(
    store: Store,
    url: str,
    sha256: str | None,
    *,
    check_model: CheckModel,
    timeouts: StorageTimeouts | None = None,
    progress: Progress = ignore_progress,
) -> bool:
    """Start from a snapshot where nothing was built yet; whether it did.

    Args:
        store: Where the index lies, or is to lie.
        url: A folder of snapshots, or one by itself; not asked where there is an index.
        sha256: The manifest's own hash, where it is demanded.
        check_model: See `database.snapshot.pull`.
        timeouts: How long the object store may take.
        progress: Told how many bytes were read.

    Raises:
        See `pull`.
    """
    try:
        live, _, _ = store.live_collection()
        if staging.has_staged_uploads(store, live.name):  # by a pull that was killed at its end
            with BuildLock(store):
                staging.publish_staged_uploads(store)
    except IndexMissingError:
        snapshot = find_snapshot(url, sha256, timeouts)
        return pull(store, snapshot, check_model=check_model, progress=progress).changed
    return False


def pull_configured(settings: Settings, store: Store) -> bool:
    """Pull the snapshot that the settings name, if any; whether it was pulled.

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
    """Pull it for a service that begins; where another one does so, wait for it.

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
                time.sleep(_LOOK_SECONDS)
            else:
                return
