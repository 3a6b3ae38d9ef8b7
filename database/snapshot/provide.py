"""Begins with a snapshot where the settings name one and nothing was built yet."""

import time
from contextlib import closing
from functools import partial

from database.index.lock import BuildLock
from database.index.store import Store, connect
from database.journal import staging
from database.snapshot.catalogue import find
from database.snapshot.file_systems import Patience
from database.snapshot.model_check import hold_against
from database.snapshot.pull import Fits, pull
from dataset.progress import Progress, ignore_progress, report_progress
from utils.errors import IndexLockedError, IndexMissingError
from utils.settings import Settings

_REQUEST_SECONDS = 600.0
"""For one request to the store: the last one makes it write all vectors to disk."""
_LOOK_SECONDS = 2.0


def provide(
    store: Store,
    url: str,
    sha256: str | None,
    *,
    fits: Fits,
    patience: Patience | None = None,
    progress: Progress = ignore_progress,
) -> bool:
    """Start from a snapshot where nothing was built yet; whether it did.

    Args:
        store: Where the index lies, or is to lie.
        url: A folder of snapshots, or one by itself; not asked where there is an index.
        sha256: The manifest's own hash, where it is demanded.
        fits: See `database.snapshot.pull`.
        patience: How long the object store may take.
        progress: Told how many bytes were read.

    Raises:
        See `pull`.
    """
    try:
        live, _, _ = store.live_collection()
        if staging.are_staged(store, live.name):  # by a pull that was killed at its end
            with BuildLock(store):
                staging.finish(store)
    except IndexMissingError:
        snapshot = find(url, sha256, patience)
        return pull(store, snapshot, fits=fits, progress=progress).changed
    return False


def provide_from(settings: Settings, store: Store) -> bool:
    """Pull the snapshot that the settings name, if any; whether it was pulled.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return False
    with report_progress("Pulling the snapshot", "B") as progress:
        return provide(
            store,
            settings.snapshot_url,
            settings.snapshot_sha256,
            fits=partial(hold_against, settings=settings),
            progress=progress,
        )


def provide_at_start(settings: Settings) -> None:
    """Pull it for a service that begins; where another one does so, wait for it.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return
    token = settings.chroma_token
    store = connect(
        settings.database,
        token=token.get_secret_value() if token else None,
        timeout=_REQUEST_SECONDS,
        create=True,
    )
    with closing(store):
        while True:
            try:
                provide_from(settings, store)
            except IndexLockedError:
                time.sleep(_LOOK_SECONDS)
            else:
                return
