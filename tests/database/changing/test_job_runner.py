"""A job that cannot succeed ends as failed and does not block later ones."""

from pathlib import Path

import pytest

from database.index.store import Store
from database.journal.jobs import Job, Jobs
from tests.database.changing.steps import accept_job, kill_once_visible, running, seen
from tests.database.made_indexes import document
from tests.files.pages import WordEmbeddings, builder
from tests.servers.service import until
from utils.errors import EmbeddingApiError, EmbeddingRefusedError

pytestmark = pytest.mark.process


def failing_embeddings(error: Exception, times: int) -> WordEmbeddings:
    """Embeddings that fail `times` times for texts with the word poison."""
    errors = [error] * times

    def fail(texts: list[str]) -> None:
        if errors and any("poison" in text for text in texts):
            raise errors.pop()

    return WordEmbeddings(before=fail)


def ended(store: Store, job: Job) -> Job:
    def find() -> Job:
        found = Jobs(store).find(job.id)
        assert found is not None
        return found

    until(lambda: find().is_finished, within=30)
    return find()


def test_deletion_that_cannot_be_confirmed_fails_and_the_next_job_runs(
    store: Store, built: Path
) -> None:
    """The writer is killed, and a build restores the page before the job is repeated."""
    job = accept_job(store, "delete", name="training.md")
    kill_once_visible(store, job)
    builder(store).build(built / "pages", folder_only=True)
    later = accept_job(store, "put", [document("later.md", "# Later\n\nLater.\n")])

    with running(store):
        assert ended(store, later).state == "done"

    failed = ended(store, job)
    assert (failed.state, failed.problem) == ("failed", "internal-error")
    assert "took effect" in failed.detail
    assert "later.md" in seen(store)


def test_text_refused_by_the_embedding_api_fails_only_its_job(store: Store) -> None:
    refused = accept_job(store, "put", [document("a.md", "# A\n\nHere is poison.\n")])
    later = accept_job(store, "put", [document("later.md", "# Later\n\nLater.\n")])

    with running(store, failing_embeddings(EmbeddingRefusedError("too long"), times=99)):
        assert ended(store, later).state == "done"

    failed = ended(store, refused)
    assert (failed.state, failed.problem) == ("failed", "document-refused")
    assert "a.md" not in seen(store)


def test_job_waits_for_an_unreachable_embedding_api(store: Store) -> None:
    job = accept_job(store, "put", [document("a.md", "# A\n\nHere is poison.\n")])

    with running(store, failing_embeddings(EmbeddingApiError("away"), times=1)):
        assert ended(store, job).state == "done"
