"""A folder is listed in full: what is skipped has a reason, and what cannot be read is named."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.folder import document_paths, has_documents, load_documents
from dataset.listing import Selection, list_folder
from dataset.skipped import SkippedFile, SkipReason, skipped_summary
from tests.files.faults import make_too_deep, public_folder, without_privileges
from utils.errors import DatasetError

NFC, NFD = (unicodedata.normalize(form, "Zürich.md") for form in ("NFC", "NFD"))


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("# Kilns\n\nOak burns slowly.\n")
    return folder


def names(folder: Path, selection: Selection | None = None) -> list[str]:
    return sorted(list_folder(folder, selection or Selection()).documents)


def reasons(folder: Path, selection: Selection | None = None) -> dict[str, SkipReason]:
    skipped = list_folder(folder, selection or Selection()).skipped
    return {one.name: one.reason for one in skipped}


def failure(folder: Path) -> str:
    """The error of reading all documents; it is one line, and the folder is not taken for empty."""
    with pytest.raises(DatasetError) as failed:
        list(load_documents(folder, pytest.fail))
    assert has_documents(folder)
    line = str(failed.value)
    assert line.isprintable()
    return line


def test_only_files_named_exactly_as_licences_are_left_out(tmp_path: Path) -> None:
    documents = ["COPYING-files.md", "LICENSE-server.md", "LICENSES.md", "NOTICE-of-change.md",
                 "a/NOTICES.txt", "notice.md"]  # fmt: skip
    licences = ["COPYING", "LICENCE.md", "LICENSE", "LICENSE-developer-guide.txt", "LICENSE.md",
                "NOTICE.txt", "a/LICENSE.rst"]  # fmt: skip
    write(tmp_path, *documents, *licences)

    assert names(tmp_path) == documents
    assert reasons(tmp_path) == dict.fromkeys(licences, SkipReason.LICENCE)


def test_every_other_file_is_skipped_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path, "page.md", "b.png", ".hidden.md", ".git/notes.md", "Makefile", "old/page.md")

    assert reasons(tmp_path, Selection(exclude=("old/*",))) == {
        ".git": SkipReason.HIDDEN,
        ".hidden.md": SkipReason.HIDDEN,
        "Makefile": SkipReason.FORMAT,
        "b.png": SkipReason.FORMAT,
        "old/": SkipReason.NOT_SELECTED,
    }


def test_skipped_files_are_counted_by_reason_in_one_line() -> None:
    skipped = [
        *(SkippedFile(name, SkipReason.FORMAT) for name in ("a.png", "b.PNG", "c.svg")),
        *(SkippedFile(name, SkipReason.HIDDEN) for name in (".git", ".hidden.md")),
        SkippedFile("LICENSE", SkipReason.LICENCE),
        SkippedFile("broken.pdf", SkipReason.UNCONVERTIBLE, "cannot be read as PDF"),
    ]
    assert skipped_summary(skipped) == (
        "Skipped 7 files: 3 of an unsupported format (.png, .svg), 2 hidden, 1 licence, "
        "1 cannot be converted"
    )
    assert skipped_summary(skipped[5:6]) == "Skipped 1 file: 1 licence"
    assert skipped_summary([]) == ""
    assert str(skipped[-1]) == "Skipped broken.pdf: cannot be read as PDF"


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", "page.md")
    (folder / "linked").symlink_to(write(tmp_path / "elsewhere", "a.md", "b/c.md"))
    (folder / "one.md").symlink_to(tmp_path / "elsewhere" / "a.md")

    assert names(folder) == ["linked/a.md", "linked/b/c.md", "one.md", "page.md"]


def test_links_that_lead_back_are_skipped(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", "a/page.md", "b/page.md")
    (folder / "0-first").symlink_to("a")
    (folder / "a" / "to-b").symlink_to("../b")
    (folder / "b" / "to-a").symlink_to("../a")
    (folder / "here").symlink_to(".")
    (folder / "up").symlink_to("..")

    assert names(folder) == ["a/page.md", "b/page.md"]
    loops = ("0-first/", "a/to-b/", "b/to-a/", "here/", "up/")
    assert reasons(folder) == dict.fromkeys(loops, SkipReason.LINK)


def test_folders_that_link_to_each_other_from_outside_are_read_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", "page.md")
    for name, other in (("one", "two"), ("two", "one")):
        write(tmp_path / name, f"{name}.md")
        (tmp_path / name / "other").symlink_to(tmp_path / other)
    (folder / "linked").symlink_to(tmp_path / "one")

    assert names(folder) == ["linked/one.md", "linked/other/two.md", "page.md"]
    assert reasons(folder) == {"linked/other/other/": SkipReason.LINK}


def test_folder_within_a_linked_one_is_read_once(tmp_path: Path) -> None:
    folder = write(tmp_path / "docs", "page.md")
    write(tmp_path / "all", "a.md", "guides/b.md", "guides/deep/c.md")
    (folder / "all").symlink_to(tmp_path / "all")
    (folder / "deep").symlink_to(tmp_path / "all" / "guides" / "deep")
    (folder / "again").symlink_to(tmp_path / "all" / "guides")

    assert names(folder) == ["again/b.md", "again/deep/c.md", "all/a.md", "page.md"]
    assert reasons(folder) == dict.fromkeys(("all/guides/", "deep/"), SkipReason.LINK)


PLACES = ["docs", "docs/a", "docs/a/b", "far", "far/c", "far/c/d"]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), max_size=6))
def test_no_file_is_listed_twice_whatever_the_links(links: list[tuple[str, str]]) -> None:
    with public_folder() as top:
        write(top, *(f"{place}/page.md" for place in PLACES))
        for number, (place, target) in enumerate(links):
            (top / place / f"link-{number}").symlink_to(top / target)
        listing = list_folder(top / "docs")
        found = [path.resolve() for path in listing.documents.values()]

    assert len(found) == len(set(found))
    assert {"page.md", "a/page.md", "a/b/page.md"} <= listing.documents.keys()
    assert not listing.unreadable


def test_names_are_in_nfc_whatever_the_disk_has(tmp_path: Path) -> None:
    folder = write(tmp_path, f"{NFD[:-3]}/{NFD}")

    assert names(folder) == [f"{NFC[:-3]}/{NFC}"]
    assert names(folder, Selection(include=(f"{NFD[:-3]}/*",))) == [f"{NFC[:-3]}/{NFC}"]
    (document,) = load_documents(folder, pytest.fail)
    assert document.name == f"{NFC[:-3]}/{NFC}"


def test_two_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    line = failure(write(tmp_path, NFC, NFD))

    assert "two files have this name" in line
    assert r"'Zu\u0308rich.md' and 'Z\xfcrich.md'" in line


@pytest.mark.parametrize("name", ["guides", "page.md"])
def test_link_to_a_place_that_is_gone_is_an_error(tmp_path: Path, name: str) -> None:
    write(tmp_path, "other.md")
    (tmp_path / name).symlink_to("/mnt/nowhere")

    assert f"Cannot read {tmp_path / name}: it is a link to nothing." in failure(tmp_path)


def test_link_to_itself_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "other.md")
    (tmp_path / "loop.md").symlink_to("loop.md")

    assert f"Cannot read {tmp_path / 'loop.md'}: too many levels" in failure(tmp_path)


def test_pipe_is_an_error_and_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, "other.md")
    os.mkfifo(tmp_path / "page.md")
    assert "page.md: it is not a regular file" in failure(tmp_path)

    (tmp_path / "link.md").symlink_to(tmp_path / "page.md")
    assert "link.md: it is not a regular file (and 1 more)" in failure(tmp_path)


def test_folder_too_deep_to_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "other.md")
    make_too_deep(tmp_path)

    assert "file name too long" in failure(tmp_path)


@pytest.mark.parametrize("closed", ["guides", "guides/a.md", ""])
def test_what_may_not_be_read_is_an_error(closed: str) -> None:
    with public_folder() as folder:
        docs = write(folder / "docs", "guides/a.md", "page.md")
        (docs / closed).chmod(0)
        with without_privileges():
            line = failure(docs)

    assert line.startswith(f"Cannot read {docs / closed}")
    assert ": permission denied." in line


def test_folder_below_one_that_may_not_be_entered_is_an_error() -> None:
    with public_folder() as folder:
        docs = write(folder / "closed" / "docs", "page.md")
        (folder / "closed").chmod(0)
        with without_privileges(), pytest.raises(DatasetError, match="permission denied"):
            document_paths(docs)


def test_unreadable_parts_that_are_left_out_are_no_error() -> None:
    with public_folder() as folder:
        docs = write(folder / "docs", "guides/a.md", "secret/b.md", "page.md")
        (docs / "secret").chmod(0)
        (docs / "gone.md").symlink_to("/mnt/nowhere")
        selection = Selection(exclude=("secret/*", "gone.md"))
        with without_privileges():
            found = [document.name for document in load_documents(docs, pytest.fail, selection)]

    assert found == ["guides/a.md", "page.md"]


def test_unreadable_parts_that_include_cannot_select_are_no_error() -> None:
    with public_folder() as folder:
        docs = write(folder / "docs", "guides/a.md", "secret/b.md")
        (docs / "secret").chmod(0)
        (docs / "gone.md").symlink_to("/mnt/nowhere")
        with without_privileges():
            found = list(load_documents(docs, pytest.fail, Selection(include=("guides/*.md",))))

    assert [document.name for document in found] == ["guides/a.md"]


def test_message_names_the_pattern_that_leaves_out(tmp_path: Path) -> None:
    write(tmp_path, "other.md")
    (tmp_path / "gone").symlink_to("/mnt/nowhere")

    assert failure(tmp_path).endswith("restore it, or leave it out: --exclude 'gone'.")
    assert names(tmp_path, Selection(exclude=("gone",))) == ["other.md"]


def test_pattern_that_matches_a_folder_keeps_its_documents(tmp_path: Path) -> None:
    write(tmp_path, "v1.md/a.txt", "page.md")

    assert names(tmp_path, Selection(exclude=("*.md",))) == ["v1.md/a.txt"]


def test_folders_of_the_file_system_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, "lost+found/a.md", "page.md")

    assert names(tmp_path) == ["page.md"]
    assert reasons(tmp_path) == {"lost+found": SkipReason.HIDDEN}


def test_names_in_messages_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, "other.md")
    (tmp_path / "a\nb\x1b[31m.md").symlink_to("/mnt/nowhere")

    assert "a?b?[31m.md: it is a link to nothing" in failure(tmp_path)
