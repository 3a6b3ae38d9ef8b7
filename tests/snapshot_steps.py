"""Steps of tests of snapshots."""

from collections.abc import Iterator
from pathlib import Path

from database.fingerprint import Fingerprint
from database.snapshot.catalogue import Snapshot, find
from database.snapshot.contents import parts
from database.snapshot.parts import Record
from database.snapshot.pull import Pulled, pull
from database.snapshot.push import Pushed, push
from database.store import Store

SMALL = 32 << 10
"""Bytes of a part, so that a small index has several."""


def pushed(store: Store, folder: Path) -> Pushed:
    return push(store, str(folder), part_bytes=SMALL)


def pulled(store: Store, place: Path | Snapshot) -> Pulled:
    snapshot = place if isinstance(place, Snapshot) else find(str(place))
    return pull(store, snapshot, fits=any_model)


def any_model(fingerprint: Fingerprint) -> None:
    """Have no objection."""


def rows_in(folder: Path) -> Iterator[Record]:
    """The index's rows in the newest snapshot."""
    return (record for _, found in parts(find(str(folder)), "index") for record in found)


def part_files(done: Pushed) -> list[Path]:
    return [Path(done.url) / part.name for part in done.manifest.parts]
