"""Changes documents of an index in place, and reads what a reader then finds."""

import hashlib
from collections.abc import Sequence
from typing import Any

from database.changing.changer import Changer, IndexingTools
from database.index import rows
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.jobs import Job, Jobs
from database.journal.recovery import recover
from database.journal.uploads import Uploads
from database.reading.read_corpus import current_chunks
from dataset.documents import Document
from tests.files.pages import WordEmbeddings
from tests.servers.documents_service import splitter

State = dict[str, list[str]]


def document(name: str, text: str) -> Document:
    return Document(name, text, "", "", hashlib.sha256(text.encode()).hexdigest())


def accept_job(store: Store, kind: Any, documents: Sequence[Document] = (), name: str = "") -> Job:
    """Accept a change."""
    job = Job.new(kind)
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


def put(store: Store, name: str, text: str, embeddings: WordEmbeddings | None = None) -> Job:
    accept_job(store, "put", [document(name, text)])
    return run(store, embeddings)[-1]


def delete(store: Store, name: str) -> Job:
    accept_job(store, "delete", name=name)
    return run(store)[-1]


def seen(store: Store) -> State:
    """The chunks of each document that a newly opened reader sees."""
    live, collection, _ = store.live_collection()
    state: State = {}
    for chunk in current_chunks(store, live, collection):
        state.setdefault(chunk.document, []).append(chunk.text)
    return state


def rows_of(store: Store, name: str) -> set[str]:
    _, collection, _ = store.live_collection()
    return {chunk.text for chunk in rows.read_documents(collection, [name])}
