"""The check that a disk has room, and the advice when it has none."""

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from chromadb.errors import InternalError

from database.index import disk_space
from database.index.connection import translate_chroma_errors
from database.index.disk_space import RESERVE_BYTES, check_space, row_bytes, space_error
from database.index.store import open_store
from utils.errors import DiskFullError, StoreUnreachableError


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk whose `free` bytes the test sets."""
    disk = SimpleNamespace(free=1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: disk)
    return disk


@pytest.fixture
def file_limit() -> Iterator[int]:
    """Files of this process may have this many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 6 << 20
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_error_names_the_megabytes_to_free(tmp_path: Path, free: SimpleNamespace) -> None:
    free.free = RESERVE_BYTES
    check_space(tmp_path)
    with pytest.raises(DiskFullError, match=r"is full: free 8 MB, then run this again") as caught:
        check_space(tmp_path, needed=7_500_000)
    assert "free 8 MB" in caught.value.detail
    assert str(tmp_path) not in caught.value.detail


def test_folder_need_not_exist(tmp_path: Path, free: SimpleNamespace) -> None:
    free.free = 0
    with pytest.raises(DiskFullError, match="free 5 MB"):
        check_space(tmp_path / "not" / "yet")


def test_server_is_not_checked(free: SimpleNamespace) -> None:
    free.free = 0
    check_space("http://127.0.0.1:8000", needed=1 << 40)


def test_full_disk_of_a_server_is_known_from_its_errors_only(free: SimpleNamespace) -> None:
    free.free = 0
    server = "http://127.0.0.1:8000"
    assert space_error(server, InternalError("other")) is None
    full = space_error(server, InternalError("Database error: (code: 13) database or disk is full"))
    assert isinstance(full, DiskFullError)
    assert "restart" in full.detail


def test_server_that_is_locked_since_its_disk_was_full_must_be_restarted() -> None:
    with (
        pytest.raises(StoreUnreachableError, match="Restart it"),
        translate_chroma_errors("http://127.0.0.1:8000"),
    ):
        raise InternalError("Database error: (code: 5) database is locked")


def test_limit_of_the_size_of_files_counts_as_a_full_disk(tmp_path: Path, file_limit: int) -> None:
    check_space(tmp_path)
    (tmp_path / "chroma.sqlite3").write_bytes(bytes(file_limit // 2))
    with pytest.raises(DiskFullError, match=r"free 2 MB, or raise .* \(ulimit -f\)"):
        check_space(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_failed_write_is_explained_by_the_disk_even_if_there_is_room_again(
    tmp_path: Path, number: int
) -> None:
    assert isinstance(space_error(tmp_path, OSError(number, os.strerror(number))), DiskFullError)


def test_other_failures_are_not_explained_by_the_disk(tmp_path: Path) -> None:
    assert space_error(tmp_path, OSError(errno.EACCES, os.strerror(errno.EACCES))) is None
    assert space_error(tmp_path, RuntimeError("database is locked")) is None


def test_estimate_grows_with_text_and_vectors() -> None:
    assert row_bytes(["clay", None]) == 4 * disk_space.BYTES_PER_CHARACTER
    assert row_bytes([""], [[0.0] * 384]) == 384 * disk_space.BYTES_PER_NUMBER


def test_store_keeps_a_reserve_that_only_small_writes_use(
    tmp_path: Path, free: SimpleNamespace
) -> None:
    with closing(open_store(str(tmp_path / "index"), create=True, isolated=True)) as store:
        collection = store.create("kilns", {"fired": 1})
        free.free = RESERVE_BYTES
        with pytest.raises(DiskFullError):
            collection.add(ids=["a"], embeddings=[1.0, 2.0], documents=["clay"])
        assert collection.count() == 0
        collection.modify(metadata={"fired": 2})
        free.free = 1000
        for write in (
            lambda: store.create("lock", {"held": 1}),
            lambda: collection.modify(metadata={"fired": 3}),
            lambda: collection.delete(ids=["a"]),
        ):
            with pytest.raises(DiskFullError, match="free 2 MB"):
                write()
        assert collection.count() == 0
