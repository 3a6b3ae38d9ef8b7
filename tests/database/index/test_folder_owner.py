"""Only one process may write an embedded index in place."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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


def test_first_claim_of_a_folder_succeeds_and_later_ones_fail(tmp_path: Path) -> None:
    first, second = FolderOwner(str(tmp_path)), FolderOwner(str(tmp_path))
    first.release()  # without a claim: does nothing
    first.claim()
    first.claim()
    with pytest.raises(IndexLockedError, match="Another process serves"):
        second.claim()

    first.release()
    first.release()
    with second:
        pass


def test_server_needs_no_claim(tmp_path: Path) -> None:
    for _ in range(2):
        FolderOwner("http://127.0.0.1:8000").claim()


def test_two_folders_have_two_owners(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with FolderOwner(str(tmp_path)), FolderOwner(str(tmp_path / "other")):
        pass


def test_threads_of_one_process_share_a_claim(tmp_path: Path) -> None:
    for _ in range(20):
        owner = FolderOwner(str(tmp_path))
        with ThreadPoolExecutor(8) as threads:
            claims = [threads.submit(owner.claim) for _ in range(8)]
        owner.release()
        assert [claim.exception() for claim in claims] == [None] * 8


@pytest.mark.process
def test_claim_lasts_until_its_process_ends_in_any_way(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"claimed\n"
            with pytest.raises(IndexLockedError):
                FolderOwner(str(tmp_path)).claim()
        finally:
            process.kill()
    with FolderOwner(str(tmp_path)):
        pass


@pytest.mark.process
def test_child_process_does_not_inherit_the_claim(tmp_path: Path) -> None:
    owner = FolderOwner(str(tmp_path))
    owner.claim()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner.release()
        with FolderOwner(str(tmp_path)):
            pass
    finally:
        child.kill()
        child.communicate()
