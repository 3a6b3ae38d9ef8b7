"""A build deletes nothing that is only missing for now, and no large part without permission."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from database.building.build import Builder
from database.building.deletions import check_deletions
from database.index.store import Store
from dataset.documents import normal_name
from tests.database.changing.steps import put, seen
from tests.database.index.reading import contents
from tests.files.faults import public_folder, without_privileges
from tests.files.pages import builder
from utils.errors import DatasetError

pytestmark = pytest.mark.process

PAGES = {
    **{f"guides/{name}.md": f"# {name}\n\nAbout {name}.\n" for name in ("oak", "elm", "ash")},
    **{f"faq/{name}.md": f"# {name}\n\nAbout {name}.\n" for name in ("kiln", "saw")},
    "table.csv": "wood,use\noak,floors\n",
}


@pytest.fixture
def store(target: Store) -> Store:
    return target


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """The folder of the live index."""
    folder = write(tmp_path / "docs", PAGES)
    builder(store).build(folder)
    return folder


def write(folder: Path, pages: Mapping[str, str]) -> Path:
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def remove(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def refusal(store: Store, folder: Path, making: Builder | None = None) -> str:
    """The line of a build that ends with an error and leaves the index as it is."""
    before, live = contents(store).rows, store.live()
    with pytest.raises(DatasetError) as refused:
        (making or builder(store)).build(folder)
    assert (contents(store).rows, store.live()) == (before, live)
    line = str(refused.value)
    assert line.isprintable()
    return line


def test_folder_that_may_not_be_read_keeps_its_documents(store: Store) -> None:
    with public_folder() as place:
        docs = write(place / "docs", PAGES)
        builder(store).build(docs)
        (docs / "faq").chmod(0)
        with without_privileges():
            line = refusal(store, docs)

    assert line.startswith(f"Cannot read {docs / 'faq'}: permission denied.")


def test_mount_that_is_gone_keeps_its_documents(store: Store, folder: Path, tmp_path: Path) -> None:
    mount = write(tmp_path / "mount", {"new.md": "# New\n\nA new page.\n"})
    (folder / "more").symlink_to(mount)
    builder(store).build(folder)
    mount.rename(tmp_path / "elsewhere")

    assert refusal(store, folder).startswith(f"Cannot read {folder / 'more'}: it is a link to")


def test_file_that_became_something_else_keeps_its_document(store: Store, folder: Path) -> None:
    remove(folder, "faq/saw.md")
    os.mkfifo(folder / "faq" / "saw.md")

    assert "faq/saw.md: it is not a regular file" in refusal(store, folder)


def test_file_that_changes_during_the_build_ends_it(store: Store, folder: Path) -> None:
    (folder / "new.md").write_text("# New\n\nA new page.\n")

    def count_and_change(text: str) -> int:
        (folder / "other.md").write_text("# Other\n\nChanged while the build runs.\n")
        return len(text.split())

    (folder / "other.md").write_text("# Other\n\nAnother page.\n")

    line = refusal(store, folder, replace(builder(store), count_tokens=count_and_change))

    assert line == "other.md changed during the build. Run it again."


def test_file_that_vanishes_during_the_build_ends_it(store: Store, folder: Path) -> None:
    write(folder, {"new.md": "# New\n\nA new page.\n", "other.md": "# Other\n\nA page.\n"})

    def count_and_remove(text: str) -> int:
        (folder / "other.md").unlink(missing_ok=True)
        return len(text.split())

    line = refusal(store, folder, replace(builder(store), count_tokens=count_and_remove))

    assert line.startswith(f"Cannot read {folder / 'other.md'}: no such file or directory.")


def test_build_that_would_delete_most_documents_stops_unless_allowed(
    store: Store, folder: Path
) -> None:
    remove(folder, "guides/oak.md", "guides/elm.md", "faq/saw.md", "table.csv")

    line = refusal(store, folder)

    assert line.startswith(
        "This build would delete 4 of the 6 documents in the index, such as faq/saw.md, "
    )
    assert "--allow-deletions" in line
    report = builder(store).build(folder, allow_deletions=True)
    assert report.changes.deleted.documents == 4
    assert seen(store).keys() == {"guides/ash.md", "faq/kiln.md"}


def test_half_of_the_documents_may_be_deleted(store: Store, folder: Path) -> None:
    remove(folder, "guides/oak.md", "guides/elm.md", "faq/saw.md")

    assert builder(store).build(folder).changes.deleted.documents == 3


def test_build_that_would_delete_a_whole_source_stops_unless_allowed(
    store: Store, folder: Path
) -> None:
    remove(folder, "faq/kiln.md", "faq/saw.md")

    assert refusal(store, folder).startswith("This build would delete all 2 documents of faq/, ")
    builder(store).build(folder, allow_deletions=True)
    assert "faq/saw.md" not in seen(store)


def test_files_that_became_empty_count_as_deleted(store: Store, folder: Path) -> None:
    for name in ("oak", "elm", "ash"):
        (folder / "guides" / f"{name}.md").write_text("")

    assert "all 3 documents of guides/" in refusal(store, folder)


def test_another_folder_needs_permission(store: Store, folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"a.md": "# A\n\nAnother subject.\n"})

    assert "6 of the 6 documents" in refusal(store, other)
    builder(store).build(other, allow_deletions=True)
    assert seen(store).keys() == {"a.md"}


def test_refused_return_to_the_folder_keeps_the_changes_of_the_api(
    store: Store, folder: Path
) -> None:
    for number in range(8):
        put(store, f"api/{number}.md", f"# {number}\n\nNumber {number}.\n")

    with pytest.raises(DatasetError, match="8 of the 14 documents"):
        builder(store).build(folder, folder_only=True)
    builder(store).build(folder)
    assert "api/3.md" in seen(store)

    builder(store).build(folder, folder_only=True, allow_deletions=True)
    assert seen(store).keys() == PAGES.keys()


def test_file_that_cannot_be_converted_any_more_keeps_its_previous_version(
    store: Store, folder: Path
) -> None:
    (folder / "table.csv").write_bytes(b"\0\xff\xfe broken")
    (folder / "new.md").write_text("# New\n\nA new page.\n")
    (folder / "new.csv").write_bytes(b"")
    messages: list[str] = []

    report = replace(builder(store), skipped=messages.append).build(folder)

    assert "oak" in "".join(seen(store)["table.csv"])
    assert "new.md" in seen(store)
    new, table = sorted(messages)
    assert new == "Skipped new.csv: is empty"
    assert table.startswith("Skipped table.csv: ")
    assert table.endswith(". The index keeps its previous version")
    assert str(report).endswith("Skipped 2 files: 2 cannot be converted")

    # The same again, then repaired.
    live = store.live()
    assert builder(store).build(folder).embedded == 0
    assert store.live() == live
    (folder / "table.csv").write_text("wood,use\nelm,bowls\n")
    builder(store).build(folder)
    assert "elm" in "".join(seen(store)["table.csv"])


def test_previous_version_of_another_model_is_not_kept(store: Store, folder: Path) -> None:
    (folder / "table.csv").write_bytes(b"")
    messages: list[str] = []
    other = replace(builder(store, model_revision="words-2"), skipped=messages.append)

    assert other.build(folder).changes.deleted.documents == 1
    assert messages == ["Skipped table.csv: is empty. Its previous version is deleted"]


def test_documents_of_websites_and_the_guide_are_sources_of_their_own() -> None:
    former = [f"web/docs.aws.amazon.com/sagemaker/latest/dg/{page}.md" for page in "xyz"]
    check_deletions(former, ["x.md", "y.md", "z.md"])
    websites = [f"web/{host}/{page}.md" for host in ("a.org", "b.org") for page in "xyz"]
    guide = ["realtime-endpoints.md", "notebooks.md", "our-own.md", "another.md"]
    before = [*websites, *guide]

    with pytest.raises(DatasetError, match=r"all 3 documents of web/b\.org/"):
        check_deletions(before, [*websites[:3], *guide])
    with pytest.raises(DatasetError, match="all 2 documents of Amazon SageMaker Developer Guide"):
        check_deletions(before, [*websites, *guide[2:]])
    check_deletions(before, [*websites[1:], *guide[1:3]])


def test_names_that_change_only_their_form_are_not_deleted() -> None:
    names = ["Zu\u0308rich.md", "Ko\u0308ln.md"]
    check_deletions(names, {normal_name(name) for name in names})


def test_first_build_needs_no_permission() -> None:
    check_deletions([], ["a.md"])
