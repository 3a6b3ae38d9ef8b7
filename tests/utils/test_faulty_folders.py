"""The builder over folders with faults and files that are no documents: lines and exit status."""

import re
import shutil
from pathlib import Path

import pytest

from database.embedding.packaged_models import MINILM
from tests.files.pages import write_pages
from utils import db_builder

pytestmark = [pytest.mark.process, pytest.mark.model]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the sample pages."""
    place = tmp_path_factory.mktemp("faulty")
    pages, index = write_pages(place / "pages"), place / "index"
    assert db_builder.main(["-d", str(pages), "-db", str(index), "-m", MINILM]) == 0
    return index


@pytest.mark.parametrize(
    ("lost", "linked", "message"),
    [
        (["endpoints.md", "training.md"], "", "would delete 2 of the 3 documents in the index"),
        (["notebooks.md"], "notebooks.md", "notebooks.md: it is a link to nothing"),
        (["endpoints.md", "training.md", "notebooks.md", "index.md"], "", "No document in"),
        ([], "guides", "guides: it is a link to nothing"),
    ],
    ids=["most documents gone", "file unreadable", "mount empty", "mount of a link gone"],
)
def test_build_of_a_faulty_folder_is_one_line_and_deletes_nothing(
    database: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    lost: list[str],
    linked: str,
    message: str,
) -> None:
    index = shutil.copytree(database, tmp_path / "index")
    pages = write_pages(tmp_path / "pages")
    command = ["-d", str(pages), "-db", str(index), "-m", MINILM]
    for name in lost:
        (pages / name).unlink()
    if linked:
        (pages / linked).symlink_to(tmp_path / "unmounted")

    assert db_builder.main(command) == 1

    printed = capfd.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    if linked:
        (pages / linked).unlink()
    write_pages(pages)
    assert db_builder.main(command) == 0
    report = capfd.readouterr().out
    assert re.search(r"unchanged +3 documents", report)
    assert "0 of them embedded now" in report


def test_skipped_files_are_counted_and_listed_on_request(
    database: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index = shutil.copytree(database, tmp_path / "index")
    pages = write_pages(tmp_path / "pages")
    write_pages(pages, {"a.png": "", "b.png": "", "c.svg": "", ".hidden.md": "", "LICENSE": ""})
    (pages / "broken.pdf").write_text("no PDF")
    command = ["-d", str(pages), "-db", str(index), "-m", MINILM]

    assert db_builder.main(command) == 0
    first = capfd.readouterr()
    assert first.out.endswith(
        "\nSkipped 6 files: 3 of an unsupported format (.png, .svg), 1 hidden, 1 licence, "
        "1 cannot be converted\n"
    )
    (line,) = first.err.splitlines()
    assert line.startswith("Skipped broken.pdf: ")

    assert db_builder.main([*command, "--verbose"]) == 0
    assert capfd.readouterr().err.splitlines() == [
        line,
        "Skipped .hidden.md: hidden",
        "Skipped LICENSE: licence",
        *(f"Skipped {name}: of an unsupported format" for name in ("a.png", "b.png", "c.svg")),
    ]
