"""A folder's files are read as documents; files that cannot be are reported and skipped."""

import os
from pathlib import Path

import pytest

from dataset.conversion.converter import Limits
from dataset.documents import Document
from dataset.folder import document_paths, load_documents
from dataset.listing import Selection
from dataset.web.request import GUIDE_URL
from utils.errors import DatasetError

UNREADABLE = Path("/proc/self/mem")
"""A regular file whose first byte even root cannot read."""


def write(folder: Path, pages: dict[str, str | bytes]) -> Path:
    for name, content in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path) -> list[Document]:
    """Read a folder, expecting that no file is skipped."""
    skipped: list[str] = []
    documents = list(load_documents(folder, skipped.append))
    assert skipped == []
    return documents


def only(folder: Path, content: str | bytes) -> Document:
    (document,) = read(write(folder, {"page.md": content}))
    return document


def test_documents_are_ordered_by_their_paths_below_the_folder(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("b.md", "a/z.md", "a-b.md", "a/b/c.md", "Z.md"), "# T"))
    names = [document.name for document in read(tmp_path)]
    assert names == ["Z.md", "a-b.md", "a/b/c.md", "a/z.md", "b.md"]


def test_hidden_files_and_other_formats_are_ignored(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "page.md": "# Page",
            ".hidden.md": "# Hidden",
            ".git/notes.md": "# Hidden",
            "a/.cache/b/notes.md": "# Hidden",
            "program.exe": "no document",
            "LICENSE": "says whose they are",
            "LICENSE.txt": "says whose they are",
            "a/NOTICE.md": "says whose they are",
        },
    )
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere")
    assert document_paths(tmp_path) == [tmp_path / "page.md"]


def test_pattern_without_matches_is_reported(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "# A\n\nText.\n", "b.md": "# B\n\nText.\n"})
    messages: list[str] = []

    found = list(load_documents(tmp_path, messages.append, Selection(include=("a*", "c*"))))

    assert [document.name for document in found] == ["a.md"]
    assert messages == ["--include c*: no document has such a name."]


def test_folder_below_a_hidden_one_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / ".data" / "docs", {"page.md": "# Page"})
    assert [document.name for document in read(folder)] == ["page.md"]


def test_names_may_contain_any_script(tmp_path: Path) -> None:
    write(tmp_path, {"Ünïcode — 文档.md": "# T", "with space.md": "# T"})
    assert {document.name for document in read(tmp_path)} == {"Ünïcode — 文档.md", "with space.md"}


def test_byte_order_mark_and_dos_line_ends_are_removed(tmp_path: Path) -> None:
    document = only(tmp_path, b"\xef\xbb\xbf# Kilns\r\n\r\nDry wood.\rOld line end.\n")
    assert document.text == "# Kilns\n\nDry wood.\nOld line end.\n"


def test_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    unix, dos = only(tmp_path, "# A\n").content_hash, only(tmp_path, "# A\r\n").content_hash
    assert unix != dos
    assert only(tmp_path, "# A\n").content_hash == unix
    assert len(unix) == 64


def test_frontmatter_gives_title_and_address(tmp_path: Path) -> None:
    page = b"\xef\xbb\xbf---\r\ntitle: Kiln\r\nurl: https://docs.example/kiln\r\n---\r\n# Text\r\n"
    document = only(tmp_path, page)
    assert (document.title, document.url) == ("Kiln", "https://docs.example/kiln")
    assert document.text == "# Text\n"


def test_file_at_the_limit_is_read(tmp_path: Path) -> None:
    limit = Limits().output_bytes
    assert len(only(tmp_path, b"x" * limit).text) == limit


@pytest.mark.skipif(not UNREADABLE.is_file(), reason="needs /proc")
def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"good.md": "# T"})
    (tmp_path / "unreadable.md").symlink_to(UNREADABLE)

    with pytest.raises(DatasetError, match=r"unreadable\.md: input/output error") as failed:
        list(load_documents(tmp_path, pytest.fail))

    assert "\n" not in str(failed.value)


def test_files_that_are_no_documents_are_skipped(tmp_path: Path) -> None:
    names = ("good.md", "huge.md", os.fsdecode(b"caf\xe9.md"))
    write(tmp_path, dict.fromkeys(names, "# T") | {"latin.md": "# Größe".encode("latin-1")})
    os.truncate(tmp_path / "huge.md", 50 * 1024 * 1024)
    skipped: list[str] = []

    assert [document.name for document in load_documents(tmp_path, skipped.append)] == ["good.md"]

    reasons = ("caf?.md: its name is not UTF-8", "huge.md: 50 MiB", "latin.md: not UTF-8")
    for line, reason in zip(sorted(skipped), reasons, strict=True):
        assert line.startswith(f"Skipped {reason}")
        assert "\n" not in line


@pytest.mark.parametrize(
    ("folder", "reason"),
    [("nowhere", "No dataset folder"), ("notes.exe", "No dataset folder"), ("", "No document in")],
)
def test_folder_without_documents_is_reported_in_one_line(
    tmp_path: Path, folder: str, reason: str
) -> None:
    write(tmp_path, {"notes.exe": "no document", ".hidden.md": "# Hidden"})
    with pytest.raises(DatasetError, match=reason) as refused:
        list(load_documents(tmp_path / folder, pytest.fail))
    line = str(refused.value)
    assert "\n" not in line
    assert str(tmp_path / folder) in line
    assert "python -m dataset.fetch" in line


def test_only_a_guide_page_gets_a_live_address(tmp_path: Path) -> None:
    names = ("copies/realtime-endpoints.md", "our-own.md", "realtime-endpoints.md")
    documents = read(write(tmp_path, dict.fromkeys(names, "# T")))
    assert [document.url for document in documents] == [
        "", "", f"{GUIDE_URL}realtime-endpoints.html"
    ]  # fmt: skip
