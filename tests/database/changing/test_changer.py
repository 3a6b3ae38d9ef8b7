"""Changes in place are atomic, whenever the writer is killed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from database.changing.changer import Changer, IndexingTools
from database.index import rows
from database.index.lock import BuildLock
from database.index.rows import unit_vectors
from database.index.store import Store
from database.journal.jobs import Job, Jobs, Precondition
from database.journal.uploads import Uploads
from database.reading.read_corpus import OvertakenError, follow_changes, read_corpus
from database.searching.search import SearchCorpus
from dataset.documents import Document
from tests.database.changing.steps import (
    State,
    accept_job,
    build_more,
    by_document,
    delete,
    put,
    rows_of,
    run,
    seen,
)
from tests.database.dying_store import kill_at_each_write
from tests.database.made_indexes import document
from tests.files.pages import PAGES, WordEmbeddings, recipe
from tests.servers.documents_service import splitter
from utils.errors import IndexLockedError

OLD = {"kilns.md": "# Kilns\n\nOak burns slowly.\n\n## Heat\n\nSix hundred degrees.\n"}
BUILT_PAGES = PAGES | OLD
NEW = "# Kilns\n\nBirch burns fast.\n\n## Heat\n\nNine hundred degrees.\n\n## Ash\n\nKeep it.\n"

pytestmark = pytest.mark.process


def reader(store: Store) -> tuple[int, SearchCorpus]:
    live, collection, found = store.live_collection()
    corpus = read_corpus(store, live, collection, WordEmbeddings(), found.digests)
    return live.revision, corpus


def followed(store: Store, opened: tuple[int, SearchCorpus]) -> State:
    """The chunks that a reader sees that opened the index earlier and followed it."""
    revision, corpus = opened
    live, _, _ = store.live_collection()
    if live.revision != revision:
        corpus = follow_changes(store, corpus, Uploads(store).visible(live, revision))
    state = by_document(corpus.chunks)
    assert sorted(state) == sorted(corpus.lexical.documents)
    assert [corpus.places[chunk.id] for chunk in corpus.chunks] == [*range(len(corpus.chunks))]
    assert corpus.vectors is not None
    texts = [chunk.text_to_embed for chunk in corpus.chunks]
    embedded = unit_vectors(WordEmbeddings().embed_documents(texts))
    assert np.allclose(corpus.vectors, embedded, atol=1e-6)
    return state


def test_added_document_is_visible_with_all_its_chunks(store: Store) -> None:
    before, opened = seen(store), reader(store)

    job = put(store, "yews.md", "# Yews\n\nYews are old.\n\n## Bark\n\nIt peels.\n")

    assert job.state == "done"
    assert [(o.outcome, o.chunks, o.embedded) for o in job.outcomes] == [("added", 2, 2)]
    after = seen(store)
    assert after == before | {"yews.md": after["yews.md"]}
    assert len(after["yews.md"]) == 2
    assert followed(store, opened) == after


def test_replacing_a_document_removes_the_old_chunks(store: Store) -> None:
    opened = reader(store)

    (outcome,) = put(store, "kilns.md", NEW).outcomes

    assert (outcome.outcome, outcome.chunks) == ("replaced", 3)
    assert outcome.previous != outcome.etag
    assert rows_of(store, "kilns.md") == set(seen(store)["kilns.md"])
    assert not any("Oak" in text for text in seen(store)["kilns.md"])
    assert followed(store, opened) == seen(store)


def test_unchanged_content_embeds_nothing_and_makes_no_revision(store: Store) -> None:
    put(store, "kilns.md", NEW)
    revision, embeddings = store.live_collection()[0].revision, WordEmbeddings()

    job = put(store, "kilns.md", NEW, embeddings)

    assert [o.outcome for o in job.outcomes] == ["unchanged"]
    assert embeddings.documents == []
    assert store.live_collection()[0].revision == job.revision == revision


def test_deleted_document_is_in_no_index_of_the_store(store: Store, pages: Path) -> None:
    build_more(store, pages)
    assert len(store.index_names()) == 2
    opened = reader(store)

    job = delete(store, "kilns.md")

    assert [o.outcome for o in job.outcomes] == ["deleted"]
    assert "kilns.md" not in seen(store)
    for collection in map(store.find, store.index_names()):
        assert collection is not None
        assert rows.read_documents(collection, ["kilns.md"]) == []
    assert followed(store, opened) == seen(store)


def test_deleted_document_can_be_added_again(store: Store) -> None:
    before = seen(store)
    text = OLD["kilns.md"]
    put(store, "kilns.md", text)
    delete(store, "kilns.md")

    assert [o.outcome for o in put(store, "kilns.md", text).outcomes] == ["added"]
    assert seen(store) == before


def test_several_documents_become_visible_in_one_revision(store: Store) -> None:
    revision = store.live_collection()[0].revision
    accept_job(store, "put", [document(f"new-{n}.md", f"# New\n\nNumber {n}.\n") for n in range(5)])

    (job,) = run(store)

    assert job.revision == store.live_collection()[0].revision == revision + 1
    assert {f"new-{n}.md" for n in range(5)} <= seen(store).keys()


def test_document_without_text_is_refused_and_the_others_are_added(store: Store) -> None:
    accept_job(store, "put", [document("empty.md", "\n"), document("full.md", "# F\n\nFull.\n")])

    (job,) = run(store)

    assert {o.name: o.outcome for o in job.outcomes} == {"empty.md": "refused", "full.md": "added"}
    assert "empty.md" not in seen(store)
    assert Uploads(store).of_document("empty.md") == []


@pytest.mark.parametrize(
    ("condition", "ends"),
    [
        (Precondition(match="*"), "failed"),
        (Precondition(match='"of another"'), "failed"),
        (Precondition(none_match="*"), "done"),
    ],
)
def test_precondition_is_checked_under_the_lock(
    store: Store, condition: Precondition, ends: str
) -> None:
    job = accept_job(store, "put", [document("new.md", "# New\n\nText.\n")], condition=condition)

    (ended,) = run(store)

    assert ended.state == ends
    assert ("new.md" in seen(store)) == (ends == "done")
    assert bool(Uploads(store).of_job(job.id)) == (ends == "done")


def test_fingerprint_matches_the_collection(store: Store) -> None:
    put(store, "yews.md", "# Yews\n\nYews are old.\n")
    put(store, "kilns.md", NEW)
    delete(store, "training.md")

    _, collection, fingerprint = store.live_collection()

    assert fingerprint.chunks == collection.count() == sum(map(len, seen(store).values()))
    assert fingerprint.documents == len(BUILT_PAGES)  # one added, one deleted
    assert fingerprint.changed_at


def test_writer_that_lost_its_lock_writes_no_more_rows(store: Store) -> None:
    before, stored = seen(store), rows_of(store, "kilns.md")
    accept_job(store, "put", [document("kilns.md", NEW)])
    tools = IndexingTools(splitter(recipe()), WordEmbeddings())
    with BuildLock(store, purpose="change") as lock:
        changer = Changer(store, lock, tools=lambda fingerprint: tools)
        store.delete("build-lock")
        with pytest.raises(IndexLockedError):
            changer.put(Jobs(store).unfinished()[0])

    assert seen(store) == before
    assert rows_of(store, "kilns.md") == stored


def test_reader_of_an_emptied_index_follows_the_first_document(store: Store) -> None:
    for name in seen(store):
        delete(store, name)
    opened = reader(store)
    assert not opened[1].chunks

    put(store, "kilns.md", NEW)

    assert followed(store, opened).keys() == {"kilns.md"}


def test_reader_detects_vectors_deleted_while_it_reads(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision, corpus = reader(store)
    put(store, "kilns.md", NEW)
    live, _, _ = store.live_collection()
    monkeypatch.setattr(rows, "read_vectors", lambda collection, ids: np.zeros((len(ids), 4)))
    with pytest.raises(OvertakenError):
        follow_changes(store, corpus, Uploads(store).visible(live, revision))


def test_reader_detects_rows_deleted_while_it_reads(store: Store) -> None:
    revision, corpus = reader(store)
    accept_job(store, "put", [document("kilns.md", NEW)])
    run(store)
    live, collection, _ = store.live_collection()
    collection.delete(ids=[chunk.id for chunk in rows.read_documents(collection, ["kilns.md"])][:1])

    with pytest.raises(OvertakenError):
        follow_changes(store, corpus, Uploads(store).visible(live, revision))


CHANGES: dict[str, tuple[Any, list[Document], str]] = {
    "add and replace": (
        "put",
        [document("kilns.md", NEW), document("yews.md", "# Yews\n\nOld.\n")],
        "",
    ),
    "delete": ("delete", [], "kilns.md"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_writer_killed_between_any_two_writes_leaves_all_or_nothing(
    change: str, store: Store
) -> None:
    """The next writer completes the change as if it had not been interrupted."""
    before, opened = seen(store), reader(store)

    def apply(dying: Store) -> None:
        accept_job(store, *CHANGES[change])
        run(dying)

    for _ in kill_at_each_write(store, apply, at_least=6):
        midway = seen(store)
        assert midway == followed(store, opened)

        run(store)

        after = seen(store)
        assert after != before
        assert midway in (before, after)
        assert followed(store, opened) == after
        for document_ in after:
            assert rows_of(store, document_) == set(after[document_])
        assert Jobs(store).unfinished() == []
        _, collection, fingerprint = store.live_collection()
        assert fingerprint.chunks == collection.count()
        _put_back(store, before, after)
        assert seen(store) == before
        opened = reader(store)


ENDS: dict[str, tuple[Any, Precondition, str, str, list[tuple[str, str]]]] = {
    "same content": ("put", Precondition(), OLD["kilns.md"], "", [("kilns.md", "unchanged")]),
    "no text": ("put", Precondition(), "\n", "", [("kilns.md", "refused")]),
    "unmet condition": ("put", Precondition(match='"x"'), NEW, "precondition-failed", []),
    "nothing to delete": ("delete", Precondition(), "", "document-not-found", []),
}


@pytest.mark.parametrize("case", ENDS)
def test_repeated_job_of_a_killed_writer_has_the_same_result(case: str, store: Store) -> None:
    kind, condition, text, problem, outcomes = ENDS[case]
    put(store, "kilns.md", OLD["kilns.md"])
    before = seen(store)
    accepted: list[Job] = []

    def change(dying: Store) -> None:
        name = "absent.md" if kind == "delete" else ""
        documents = [document("kilns.md", text)]
        accepted.append(accept_job(store, kind, documents, name, condition=condition))
        run(dying)

    for _ in kill_at_each_write(store, change, at_least=4):
        run(store)
        ended = Jobs(store).find(accepted[-1].id)
        assert ended is not None
        assert ended.problem == problem
        assert [(each.name, each.outcome) for each in ended.outcomes] == outcomes
    assert seen(store) == before
    put(store, "last.md", "# Last\n\nLast.\n")  # recovers the leftovers
    assert len(Uploads(store).of_document("kilns.md")) == 1
    assert Uploads(store).of_document("absent.md") == []


def test_job_whose_texts_are_missing_fails(store: Store) -> None:
    for kind in ("put", "delete"):
        job = Job.new(kind)
        Jobs(store).add(job)

    assert [job.problem for job in run(store)] == ["internal-error"] * 2


def _put_back(store: Store, before: State, after: State) -> None:
    for name in after.keys() - before.keys():
        delete(store, name)
    if before["kilns.md"] != after.get("kilns.md"):
        put(store, "kilns.md", OLD["kilns.md"])
