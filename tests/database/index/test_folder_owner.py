"""Only one process may write an embedded index in place."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from database.index.folder_owner import FolderOwner
from utils.errors import IndexLockedError
from utils.settings import PROJECT_ROOT

_OWNER = """
import sys
from database.index.folder_owner import FolderOwner
owner = FolderOwner(sys.argv[1])
owner.claim()
print("claimed", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has claimed the folder and does not release it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "claimed\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_first_claim_of_a_folder_succeeds_and_later_ones_fail(tmp_path: Path) -> None:
    first, second = FolderOwner(str(tmp_path)), FolderOwner(str(tmp_path))
    first.claim()
    first.claim()
    with pytest.raises(IndexLockedError, match="Another process serves"):
        second.claim()

    first.release()
    second.claim()
    second.release()


def test_release_without_a_claim_does_nothing(tmp_path: Path) -> None:
    owner = FolderOwner(str(tmp_path))
    owner.release()
    owner.claim()
    owner.release()
    owner.release()


def test_server_needs_no_claim(tmp_path: Path) -> None:
    for _ in range(2):
        FolderOwner("http://127.0.0.1:8000").claim()


def test_two_folders_have_two_owners(tmp_path: Path) -> None:
    owners = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        owners.append(FolderOwner(str(tmp_path / name)))
        owners[-1].claim()
    for owner in owners:
        owner.release()


def test_threads_of_one_process_share_a_claim(tmp_path: Path) -> None:
    for _ in range(20):
        owner = FolderOwner(str(tmp_path))
        with ThreadPoolExecutor(8) as threads:
            claims = [threads.submit(owner.claim) for _ in range(8)]
        owner.release()
        assert [claim.exception() for claim in claims] == [None] * 8


@pytest.mark.process
def test_claim_lasts_until_its_process_ends_in_any_way(tmp_path: Path) -> None:
    owner = FolderOwner(str(tmp_path))
    with another_process(tmp_path) as process:
        with pytest.raises(IndexLockedError):
            owner.claim()
        process.kill()
        process.wait()
        owner.claim()
    owner.release()


@pytest.mark.process
def test_child_process_does_not_inherit_the_claim(tmp_path: Path) -> None:
    owner = FolderOwner(str(tmp_path))
    owner.claim()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner.release()
        second = FolderOwner(str(tmp_path))
        second.claim()
        second.release()
    finally:
        child.kill()
        child.communicate()
