"""A folder's files are read as documents; files that cannot be are reported and skipped."""

import os
from pathlib import Path

import pytest

from dataset.conversion.converter import Limits
from dataset.documents import Document
from dataset.folder import Selection, document_paths, load_documents
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


def skipped_message(folder: Path) -> str:
    """Read a folder with `good.md` and one file that is skipped."""
    skipped: list[str] = []
    names = [document.name for document in load_documents(folder, skipped.append)]
    assert names == ["good.md"]
    (line,) = skipped
    assert "\n" not in line
    return line


def refusal(folder: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        list(load_documents(folder, pytest.fail))
    line = str(refused.value)
    assert "\n" not in line
    assert str(folder) in line
    assert "python -m dataset.fetch" in line
    return line


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
            "LICENSE-guide.txt": "says whose they are",
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
    assert {document.name for document in read(tmp_path)} == {
        "Ünïcode — 文档.md",
        "with space.md",
    }


def test_byte_order_mark_and_dos_line_ends_are_removed(tmp_path: Path) -> None:
    document = only(tmp_path, b"\xef\xbb\xbf# Kilns\r\n\r\nDry wood.\rOld line end.\n")
    assert document.text == "# Kilns\n\nDry wood.\nOld line end.\n"


def test_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    unix, dos = only(tmp_path, "# A\n").content_hash, only(tmp_path, "# A\r\n").content_hash
    assert unix != dos
    assert only(tmp_path, "# A\n").content_hash == unix
    assert len(unix) == 64


def test_frontmatter_gives_title_and_address(tmp_path: Path) -> None:
    document = only(
        tmp_path, "---\ntitle: CreateKiln\nurl: https://docs.example/kiln\nother: 1\n---\n# Text\n"
    )
    assert document.title == "CreateKiln"
    assert document.url == "https://docs.example/kiln"
    assert document.text == "# Text\n"


def test_frontmatter_is_found_after_a_byte_order_mark_and_with_dos_line_ends(
    tmp_path: Path,
) -> None:
    document = only(tmp_path, b"\xef\xbb\xbf---\r\ntitle: Kiln\r\n---\r\n# Text\r\n")
    assert (document.title, document.text) == ("Kiln", "# Text\n")


@pytest.mark.parametrize(
    "head",
    [
        "title: [never closed",
        "title: a: b: c",
        "just words",
        "- a list",
        "date: 2020-13-45",
        "? [1]\n: 2",
        "title: !!python/object:os.system x",
        "title: " + "[" * 5000,
    ],
)
def test_broken_frontmatter_is_text(head: str, tmp_path: Path) -> None:
    document = only(tmp_path, f"---\n{head}\n---\n# Text\n")
    assert (document.title, document.url) == ("", "")
    assert document.text.endswith("# Text\n")


def test_title_that_is_not_a_string_is_ignored(tmp_path: Path) -> None:
    document = only(tmp_path, "---\ntitle: [a, b]\nurl: {a: b}\n---\n# Text\n")
    assert (document.title, document.url, document.text) == ("", "", "# Text\n")


def test_title_is_one_line(tmp_path: Path) -> None:
    document = only(tmp_path, "---\ntitle: >\n  Create\n  a kiln\n---\n# Text\n")
    assert document.title == "Create a kiln"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/etc/passwd", "kiln.html"])
def test_address_other_than_http_is_ignored(url: str, tmp_path: Path) -> None:
    assert only(tmp_path, f"---\nurl: {url}\n---\n# Text\n").url == ""


@pytest.mark.parametrize("text", ["", "---", "---\n", "# T\n\n---\ntitle: x\n---\n"])
def test_page_without_frontmatter_is_unchanged(text: str, tmp_path: Path) -> None:
    document = only(tmp_path, text)
    assert (document.title, document.text) == ("", text)


def test_file_that_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, {"good.md": "# T", "bad/latin.md": "# Größe".encode("latin-1")})
    line = skipped_message(tmp_path)
    assert "bad/latin.md" in line
    assert "UTF-8" in line


def test_too_large_file_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, {"good.md": "# T", "huge.md": ""})
    os.truncate(tmp_path / "huge.md", 50 * 1024 * 1024)
    line = skipped_message(tmp_path)
    assert "huge.md" in line
    assert "50 MiB" in line


def test_file_at_the_limit_is_read(tmp_path: Path) -> None:
    limit = Limits().output_bytes
    assert len(only(tmp_path, b"x" * limit).text) == limit


@pytest.mark.skipif(not UNREADABLE.is_file(), reason="needs /proc")
def test_unreadable_file_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, {"good.md": "# T"})
    (tmp_path / "unreadable.md").symlink_to(UNREADABLE)
    line = skipped_message(tmp_path)
    assert "unreadable.md" in line
    assert "cannot be read" in line


def test_file_whose_name_is_not_utf8_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, {"good.md": "# T"})
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("# T")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    line = skipped_message(tmp_path)
    assert line.encode()
    assert "caf" in line


def test_missing_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    assert "No dataset folder" in refusal(tmp_path / "nowhere")


def test_file_in_place_of_the_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# T")
    assert "No dataset folder" in refusal(tmp_path / "page.md")


def test_folder_without_documents_is_reported_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, {"notes.exe": "no document", ".hidden.md": "# Hidden"})
    assert "No document in" in refusal(tmp_path)


def test_guide_page_gets_its_live_address(tmp_path: Path) -> None:
    (document,) = read(write(tmp_path, {"realtime-endpoints.md": "# T"}))
    assert document.url == f"{GUIDE_URL}realtime-endpoints.html"


def test_other_page_gets_no_address(tmp_path: Path) -> None:
    write(tmp_path, {"our-own.md": "# T", "copies/realtime-endpoints.md": "# T"})
    assert [document.url for document in read(tmp_path)] == ["", ""]
