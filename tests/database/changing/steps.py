"""Changes documents of an index in place, and reads what a reader then finds."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from database.building.report import BuildReport
from database.changing.changer import Changer, IndexingTools
from database.changing.job_runner import JobRunner
from database.index import rows
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.jobs import Job, Jobs
from database.journal.recovery import recover
from database.journal.uploads import Uploads
from database.reading.read_corpus import current_chunks
from database.reading.reader import Reader
from dataset.chunks import Chunk
from dataset.documents import Document
from tests.database.dying_store import kill_at_each_write
from tests.database.made_indexes import document
from tests.files.pages import PAGES, WordEmbeddings, builder
from tests.servers.documents_service import splitter

State = dict[str, list[str]]

WITH_TEXT = PAGES.keys() - {"index.md"}
"""The pages that are indexed; the others only list links."""
KILNS = "# Kilns\n\nOak burns slowly.\n"


def accept_job(
    store: Store, kind: Any, documents: Sequence[Document] = (), name: str = "", **fields: Any
) -> Job:
    """Accept a change; `fields` are the job's."""
    job = Job.new(kind, **fields)
    if name:
        Uploads(store).add_deletion(job.id, name)
    else:
        Uploads(store).add(job.id, documents)
    Jobs(store).add(job)
    return job


def run(store: Store, embeddings: WordEmbeddings | None = None) -> list[Job]:
    """Run the pending jobs, as the service does."""
    with BuildLock(store, purpose="change") as lock:
        changer = Changer(
            store,
            lock,
            tools=lambda made: IndexingTools(splitter(made.recipe), embeddings or WordEmbeddings()),
        )
        ended = []
        for job in Jobs(store).unfinished():
            recover(store)
            ended.append(changer.put(job) if job.kind == "put" else changer.delete(job))
        return ended


@contextmanager
def running(store: Store, embeddings: WordEmbeddings | None = None) -> Iterator[None]:
    """A service's thread for jobs."""
    reader = reader_over(store, embeddings)
    reader.refresh()
    runner = JobRunner(reader, store.database, splitter=splitter, open_store=lambda: store)
    runner.start()
    try:
        yield
    finally:
        runner.stop()


def kill_once_visible(store: Store, job: Job) -> None:
    """Run a job, killed just after its change became visible."""
    for _ in kill_at_each_write(store, run):
        if (live := store.live()) and live.job == job.id:
            return
    raise AssertionError("the change did not become visible")


def build_more(store: Store, pages: Path) -> BuildReport:
    """Build an index with one more page in the folder."""
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    return builder(store).build(pages)


def put(store: Store, name: str, text: str, embeddings: WordEmbeddings | None = None) -> Job:
    accept_job(store, "put", [document(name, text)])
    return run(store, embeddings)[-1]


def delete(store: Store, name: str) -> Job:
    accept_job(store, "delete", name=name)
    return run(store)[-1]


def seen(store: Store) -> State:
    """The chunks of each document that a newly opened reader sees."""
    live, collection, _ = store.live_collection()
    return by_document(current_chunks(store, live, collection))


def by_document(chunks: Iterable[Chunk]) -> State:
    state: State = {}
    for chunk in chunks:
        state.setdefault(chunk.document, []).append(chunk.text)
    return state


def reader_over(store: Store, embeddings: WordEmbeddings | None = None) -> Reader:
    """A service's reader that uses this store."""
    return Reader(lambda: store, lambda built: embeddings or WordEmbeddings(), store.database)


def rows_of(store: Store, name: str) -> set[str]:
    _, collection, _ = store.live_collection()
    return {chunk.text for chunk in rows.read_documents(collection, [name])}
