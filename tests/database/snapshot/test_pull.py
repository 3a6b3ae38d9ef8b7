"""A pull makes a complete snapshot the live index, or changes nothing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from database.index.lock import LOCK, BuildLock
from database.index.store import Store
from database.snapshot.contents import verify
from database.snapshot.pull import pull
from tests.database.index.reading import contents
from tests.database.made_indexes import (
    change_in_place,
    chunks_of,
    document,
    make_index,
    upload,
    uploaded,
    words_of,
)
from tests.database.snapshot.steps import (
    found_at,
    index_at,
    part_files,
    pulled,
    pulled_at_start,
    pushed,
    resealed,
)
from utils.errors import IndexLockedError, IndexMissingError, ModelError, SnapshotError
from utils.settings import Settings

pytestmark = pytest.mark.process


def test_pulled_index_equals_the_pushed_one(
    source: Store, either_store: Store, folder: Path
) -> None:
    upload(source, "job-1", document("notes.md", "# Notes\n\nOak.\n"))
    pushed(source, folder)

    done = pulled(either_store, folder)

    assert done.changed
    assert contents(either_store).rows == contents(source).rows
    assert contents(either_store).lowest_cosine(contents(source)) >= 0.9999
    assert words_of(either_store).keys() == words_of(source).keys()
    assert uploaded(either_store) == {"notes.md": "# Notes\n\nOak.\n"}
    here, there = either_store.live_collection()[2], source.live_collection()[2]
    assert replace(here, built_at=there.built_at) == replace(there, changed_at="")


def test_interrupted_pull_resumes(source: Store, either_store: Store, folder: Path) -> None:
    done = pushed(source, folder)
    snapshot = found_at(folder)
    first, second = part_files(done)[:2]

    def interrupt(count: int, total: int | None) -> None:
        if count > first.stat().st_size:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(either_store, snapshot, settings=None, progress=interrupt)
    with pytest.raises(IndexMissingError):
        either_store.live_collection()
    first.unlink()
    assert second.exists()

    assert pulled(either_store, snapshot).changed
    assert contents(either_store).rows == contents(source).rows
    assert len(either_store.index_names()) == 1


def test_pull_of_the_live_state_does_nothing(source: Store, target: Store, folder: Path) -> None:
    done = pushed(source, folder)
    pulled(target, folder)
    live = target.live()
    for file in part_files(done):
        file.unlink()

    assert not pulled(target, folder).changed
    assert not pulled(source, folder).changed
    assert target.live() == live


def test_index_changed_after_a_pull_is_pulled_again(
    source: Store, target: Store, folder: Path
) -> None:
    pushed(source, folder)
    pulled(target, folder)
    change_in_place(target, *chunks_of("Ash dries too.", document="ash.md"))

    assert pulled(target, folder).changed

    assert contents(target).rows == contents(source).rows


def test_previous_index_is_kept_for_rollback_and_older_ones_are_deleted(
    source: Store, target: Store, folder: Path
) -> None:
    make_index(target, chunks_of("Older."), "index-older")
    make_index(target, chunks_of("Before."), "index-before")
    pushed(source, folder)

    done = pulled(target, folder)

    live = target.live_collection()[0]
    assert (live.name, live.previous) == (done.index, "index-before")
    assert target.index_names() == sorted([done.index, "index-before"])
    assert target.collection_names("words-of-") == sorted(
        f"words-of-{n}" for n in target.index_names()
    )


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (damage, "is not what the manifest says"),
        (cut, "is not what the manifest says"),
        (Path.unlink, "is missing"),
    ],
)
def test_incomplete_snapshot_replaces_nothing(
    source: Store, target: Store, folder: Path, harm: Callable[[Path], None], complaint: str
) -> None:
    live = make_index(target, chunks_of("Before."), "index-before")
    harm(part_files(pushed(source, folder))[-1])

    with pytest.raises(SnapshotError, match=complaint):
        pulled(target, folder)
    with pytest.raises(SnapshotError, match=complaint):
        verify(found_at(folder))

    assert target.live() == live
    assert len(contents(target).rows) == 1


def test_snapshot_with_a_duplicate_row_replaces_nothing(
    source: Store, target: Store, folder: Path
) -> None:
    done = pushed(source, folder)
    live = make_index(target, chunks_of("Before."), "index-before")
    forge_row_twice(Path(done.url))

    with pytest.raises(SnapshotError, match="distinct rows of index instead of"):
        pulled(target, folder)

    assert target.live() == live


def forge_row_twice(snapshot: Path) -> None:
    """List a part of the manifest a second time under another number."""
    fields = json.loads((snapshot / "manifest.json").read_text())
    part = fields["parts"][0]
    again = {**part, "name": part["name"].replace("part-00000", "part-00099")}
    shutil.copy(snapshot / part["name"], snapshot / again["name"])
    fields["parts"].append(again)
    fields["collections"]["index"]["rows"] += again["rows"]
    (snapshot / "manifest.json").write_bytes(resealed(fields))


def test_model_mismatch_is_refused_before_reading_parts(
    source: Store, target: Store, folder: Path
) -> None:
    for file in part_files(pushed(source, folder)):
        file.unlink()

    with pytest.raises(ModelError, match="tests/words"):
        pull(target, found_at(folder), settings=Settings(_env_file=None))
    assert target.collection_names("") == []


def test_pull_during_a_build_is_refused(source: Store, target: Store, folder: Path) -> None:
    pushed(source, folder)
    with BuildLock(target), pytest.raises(IndexLockedError, match="Another build is writing"):
        pulled(target, folder)
    assert target.find(LOCK) is None


def test_first_start_takes_a_snapshot_and_later_ones_do_not(
    source: Store, target: Store, folder: Path
) -> None:
    sha256 = pushed(source, folder).sha256

    assert pulled_at_start(target, folder, sha256)
    assert contents(target).rows == contents(source).rows
    assert not pulled_at_start(target)


def test_index_without_words_is_pulled_without(tmp_path: Path, target: Store, folder: Path) -> None:
    with index_at(tmp_path / "source", "Oak dries.", "Ash burns.") as source:
        source.delete("words-of-index-made")
        pushed(source, folder)
        pulled(target, folder)
        assert contents(target).rows == contents(source).rows
        assert target.collection_names("words-of-") == []
