"""The journal stores the API's documents with their texts, and the changes."""

from dataclasses import replace

import pytest

from database.index.live_pointer import LivePointer
from database.index.store import Store
from database.journal.uploads import UPLOADS, JournalEntry, Uploads
from dataset.documents import Document


@pytest.fixture
def uploads(shared_store: Store) -> Uploads:
    shared_store.delete(UPLOADS)
    return Uploads(shared_store)


def document(name: str = "kilns.md", text: str = "# Kilns\n\nClay.", **more: str) -> Document:
    return Document(name, text, "Kilns", "https://kilns.example/", f"hash of {text[:9]}", **more)


def pointer(revision: int, **more: object) -> LivePointer:
    return LivePointer("index-1", "", revision, since=1, **more)  # type: ignore[arg-type]


def shown(uploads: Uploads, job: str, revision: int, *documents: Document) -> list[JournalEntry]:
    """Add documents with a job that is visible."""
    uploads.add(job, documents)
    entries = uploads.of_job(job)
    uploads.mark_visible(entries, revision)
    return [replace(entry, revision=revision) for entry in entries]


def test_documents_are_read_complete_and_in_order(uploads: Uploads) -> None:
    documents = [document(f"{n}.md", f"# {n}") for n in (3, 1, 2)]
    uploads.add("job", documents)
    assert [uploads.document(entry) for entry in uploads.of_job("job")] == documents


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "\U0001f525 gr\u00fcn \u30ac\u30a4\u30c9\r\n\t\0 end",
        "0123456789" * 10_000,
        "0123456789" * 10_000 + "y",
        " ".join(map(str, range(250_000))),
    ],
    ids=["one", "odd", "one part", "two parts", "many parts"],
)
def test_texts_survive_a_round_trip(uploads: Uploads, text: str) -> None:
    given = document(text=text, format="pdf", changed="2026-03-01")
    uploads.add("job", [given])
    (entry,) = uploads.of_job("job")
    assert uploads.document(entry) == given


def test_pending_document_is_not_current(uploads: Uploads) -> None:
    uploads.add("job", [document()])
    assert uploads.visible(pointer(9), after=0) == {}
    assert uploads.current(pointer(9)) == {}


def test_entries_of_the_pointers_job_are_visible_before_they_are_marked(uploads: Uploads) -> None:
    uploads.add("job", [document()])
    live = pointer(5, job="job", job_revision=5)
    assert uploads.visible(live, after=4)["kilns.md"].revision == 5
    assert uploads.visible(live, after=5) == {}

    uploads.mark_visible(uploads.of_job("job"), 5)
    assert uploads.visible(live, after=4)["kilns.md"].revision == 5


def test_change_marked_during_the_query_is_visible(
    uploads: Uploads, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.add("job", [document()])
    entries = uploads.of_job("job")
    looks = 0
    find = shared_store.find

    def find_while_it_is_marked(name: str) -> object:
        nonlocal looks
        looks += 1
        if looks == 2:
            uploads.mark_visible(entries, 5)
        return find(name)

    monkeypatch.setattr(shared_store, "find", find_while_it_is_marked)
    live = pointer(5, job="job", job_revision=5)
    assert uploads.visible(live, after=4).keys() == {"kilns.md"}


def test_last_change_up_to_the_pointer_is_visible(uploads: Uploads) -> None:
    shown(uploads, "a", 2, document(text="first"))
    shown(uploads, "b", 3, document(text="second"), document("other.md"))
    shown(uploads, "c", 4, document(text="third"))

    found = uploads.visible(pointer(3), after=0)
    assert {name: entry.job for name, entry in found.items()} == {"kilns.md": "b", "other.md": "b"}
    assert uploads.visible(pointer(4), after=3).keys() == {"kilns.md"}
    assert uploads.visible(pointer(4), after=4) == {}


def test_deletion_is_current_too(uploads: Uploads) -> None:
    shown(uploads, "a", 2, document())
    uploads.add_deletion("b", "kilns.md")
    uploads.mark_visible(uploads.of_job("b"), 3)
    assert uploads.current(pointer(3))["kilns.md"].is_deletion
    assert not uploads.current(pointer(2))["kilns.md"].is_deletion


def test_changes_before_the_return_to_the_folder_are_not_current(uploads: Uploads) -> None:
    shown(uploads, "a", 2, document("before.md"))
    shown(uploads, "b", 3, document("after.md"))
    assert uploads.current(pointer(3, folder_since=2)).keys() == {"after.md"}


def test_only_visible_entries_are_superseded(uploads: Uploads) -> None:
    shown(uploads, "a", 2, document(text="first"), document("other.md"))
    last = shown(uploads, "b", 3, document(text="second"))
    uploads.add("waiting", [document(text="third")])

    overtaken = uploads.superseded(last, 3)
    assert [(entry.job, entry.document) for entry in overtaken] == [("a", "kilns.md")]
    assert uploads.superseded([], 3) == []


def test_deleted_entries_leave_no_text(uploads: Uploads, shared_store: Store) -> None:
    long = shown(uploads, "a", 2, document(text="0123456789" * 25_000))
    shown(uploads, "b", 3, document("other.md"))
    uploads.delete(long)

    assert uploads.of_document("kilns.md") == []
    assert shared_store.get_or_create(UPLOADS).count() == 1
    uploads.delete(long)
    uploads.delete([])
    assert shared_store.get_or_create(UPLOADS).count() == 1


def test_accepting_a_job_twice_keeps_one_of_each(uploads: Uploads, shared_store: Store) -> None:
    for _ in range(2):
        uploads.add("job", [document(), document("other.md")])
        uploads.add_deletion("gone", "third.md")
    assert shared_store.get_or_create(UPLOADS).count() == 3


def test_a_name_is_only_compared(uploads: Uploads) -> None:
    names = ["a' OR 1=1 --.md", 'a"b.md', "a%b.md", "a_b.md", "$eq.md", "\U0001f525.md"]
    for number, name in enumerate(names):
        shown(uploads, f"job{number}", number + 1, document(name))
    for name in names:
        assert [entry.document for entry in uploads.of_document(name)] == [name]
    assert uploads.of_document("a%") == []
