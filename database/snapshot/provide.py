"""Begins with a snapshot where the settings name one and nothing was built yet."""

import time
from contextlib import closing
from functools import partial

from database.snapshot.model import hold_against
from database.snapshot.pull import provide
from database.store import Store, connect
from dataset.progress import reporting
from utils.errors import IndexLockedError
from utils.settings import Settings

_REQUEST_SECONDS = 600.0
"""For one request to the store: the last one makes it write all vectors to disk."""
_LOOK_SECONDS = 2.0


def provide_from(settings: Settings, store: Store) -> bool:
    """Pull the snapshot that the settings name, if any; whether it was pulled.

    Raises:
        See `pull`.
    """
    if settings.snapshot_url is None:
        return False
    with reporting("Pulling the snapshot", "B") as progress:
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
