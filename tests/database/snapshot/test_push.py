"""A snapshot contains one state of an index, whatever is written in the meantime."""

from pathlib import Path

import pytest

from database.index.store import Store
from tests.database.index.reading import contents
from tests.database.made_indexes import (
    add_unseen,
    change_in_place,
    chunks_of,
    document,
    upload,
    vectors_of,
)
from tests.database.snapshot.steps import found_at, listed_at, pulled, pushed, rows_in
from utils.errors import IndexMissingError, SnapshotError

pytestmark = pytest.mark.process


def test_snapshot_preserves_vectors_bit_for_bit(source: Store, folder: Path) -> None:
    pushed(source, folder)
    found = {r.id: r.vector.tobytes() for r in rows_in(folder)}
    assert found == vectors_of(source)


def test_same_index_gives_the_same_parts(source: Store, folder: Path, tmp_path: Path) -> None:
    once, again = pushed(source, folder), pushed(source, tmp_path / "others")
    assert len(once.manifest.parts) > 3
    assert once.manifest.parts == again.manifest.parts


def test_changed_index_is_another_snapshot_and_the_newest_is_first(
    source: Store, target: Store, folder: Path
) -> None:
    old = pushed(source, folder)
    make_old(Path(old.url))
    change_in_place(source, *chunks_of("Ash dries too.", document="ash.md"))

    new = pushed(source, folder)

    newest, other = listed_at(folder)
    assert (newest.url, other.url) == (new.url, str(folder / "20250101T000000Z") + old.url[-13:])
    pulled(target, folder)
    assert "ash.md:0" in contents(target).rows
    pulled(target, other.url)
    assert "ash.md:0" not in contents(target).rows


def make_old(snapshot: Path) -> None:
    """Change the year in which a snapshot was pushed."""
    snapshot.rename(snapshot.with_name("20250101T000000Z" + snapshot.name[16:]))


def test_index_changed_during_a_push_is_read_again(source: Store, folder: Path) -> None:
    changed: list[str] = []

    def change(done: int, total: int | None) -> None:
        if not changed:
            changed.append("now")
            change_in_place(source, *chunks_of("Ash dries too.", document="ash.md"))

    done = pushed(source, folder, reading=change)

    assert {r.id for r in rows_in(folder)} == contents(source).rows.keys()
    assert done.manifest.revision == source.live_collection()[0].revision == 2


def test_push_of_an_index_that_keeps_changing_fails(source: Store, folder: Path) -> None:
    count = iter(range(1000))

    def change(done: int, total: int | None) -> None:
        change_in_place(source, *chunks_of("Ash.", document=f"ash-{next(count)}.md"))

    with pytest.raises(SnapshotError, match="changed 10 times while it was read"):
        pushed(source, folder, reading=change)
    assert listed_at(folder) == []


def test_invisible_and_replaced_rows_are_left_out(source: Store, folder: Path) -> None:
    seen = contents(source).rows.keys()
    change_in_place(source, *chunks_of("Ash dries.", document="ash.md"))
    upload(source, "job-1", document("ash.md", "Other words."))  # its old chunk still exists
    add_unseen(source, *chunks_of("Not yet.", document="later.md"))

    pushed(source, folder)

    assert contents(source).rows.keys() - seen == {"ash.md:0", "later.md:0"}
    assert {r.id for r in rows_in(folder)} == seen


def test_required_hash_is_compared_with_the_manifest(source: Store, folder: Path) -> None:
    done = pushed(source, folder)
    assert found_at(folder, done.sha256).is_pinned
    assert found_at(folder, done.sha256.upper()).is_pinned
    with pytest.raises(SnapshotError, match="another was demanded"):
        found_at(folder, "0" * 64)
    with pytest.raises(SnapshotError, match="64 hexadecimal digits"):
        found_at(folder, "abc")


def test_push_without_an_index_is_refused(target: Store, folder: Path) -> None:
    with pytest.raises(IndexMissingError, match="No index at"):
        pushed(target, folder)
    assert not folder.exists()
