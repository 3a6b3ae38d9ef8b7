"""The command: `python -m database.snapshot push|pull|list|verify URL`."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import open_store
from database.snapshot.__main__ import main
from tests.database.index.reading import contents
from tests.database.snapshot.steps import index_at
from tests.servers.chroma import ChromaServer

pytestmark = pytest.mark.process

MADE_UP = "tests/words"
"""The model of the made index: no machine has it."""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    with index_at(tmp_path / "index", "Oak dries.", "Ash burns."):
        return tmp_path / "index"


@pytest.fixture
def snapshots(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a snapshot of the index."""
    assert main(["push", str(tmp_path / "snapshots"), "-db", str(index)]) == 0
    capsys.readouterr()
    return tmp_path / "snapshots"


def sha256_of(printed: str) -> str:
    return printed.strip().rpartition(": ")[2]


def test_push_prints_its_address_and_hash(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "snapshots")
    assert main(["push", place, "-db", str(index)]) == 0
    first = capsys.readouterr().out
    assert main(["push", place, "-db", str(index)]) == 0
    second = capsys.readouterr().out

    assert first.startswith(place)
    assert "2 chunks of 1 documents" in first
    assert len(sha256_of(first)) == 64
    assert "all of it was there already" in second
    assert sha256_of(second) == sha256_of(first)


def test_list_and_verify_describe_it(snapshots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(snapshots)]) == 0
    listed = capsys.readouterr().out
    assert main(["verify", str(snapshots), "--sha256", sha256_of(listed)]) == 0
    assert capsys.readouterr().out == f"Complete and unchanged:\n{listed}"
    assert MADE_UP in listed


def test_list_of_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"No snapshot at {tmp_path}.\n"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("pull {}/snapshots -db {}/new", f"Embedding model {MADE_UP} is not .*--any-model"),
        ("push {}/others -db {}/index --work {}/nowhere", "Name a folder with --work"),
        ("push {}/others -db {}/nowhere", "^No index at"),
    ],
)
@pytest.mark.usefixtures("snapshots")
def test_failure_is_reported_in_one_line(
    command: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([part.format(tmp_path) for part in command.split()]) == 1
    errors = capsys.readouterr().err
    assert re.search(complaint, errors)
    assert errors.count("\n") == 1


@pytest.mark.model
def test_other_model_is_refused_in_one_line(
    snapshots: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMBEDDING_MODEL_NAME", "sentence-transformers/all-MiniLM-L6-v2")
    assert main(["pull", str(snapshots), "-db", str(tmp_path / "new")]) == 1
    errors = capsys.readouterr().err
    assert f"made with {MADE_UP} and this machine is set to sentence-transformers/" in errors
    assert "model_revision is words-1 there" in errors
    assert errors.count("\n") == 1


def test_pull_into_a_server(
    snapshots: Path,
    index: Path,
    chroma_server: ChromaServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pull = ["pull", str(snapshots), "-db", chroma_server.url, "--any-model"]
    assert main(pull) == 0
    first = capsys.readouterr().out
    assert main(pull) == 0
    second = capsys.readouterr().out

    assert "is live\n" in first
    assert "was live already; nothing was done" in second
    with closing(open_store(chroma_server.url)) as pulled, closing(open_store(str(index))) as made:
        assert contents(pulled).rows == contents(made).rows


def test_hash_that_differs_from_option_or_setting_is_refused(
    snapshots: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new = tmp_path / "new"
    assert main(["pull", str(snapshots), "-db", str(new), "--sha256", "0" * 64]) == 1
    assert "another was demanded" in capsys.readouterr().err
    assert not new.exists()

    monkeypatch.setenv("SNAPSHOT_SHA256", "0" * 64)
    assert main(["verify", str(snapshots)]) == 1
    assert "another was demanded" in capsys.readouterr().err
