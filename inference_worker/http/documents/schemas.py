"""Response schemas of documents and jobs."""

from dataclasses import asdict
from typing import Literal, Self

from pydantic import BaseModel, Field

from database.journal.jobs import Job
from database.reading.reader import IndexState
from dataset.chunks import Chunk
from inference_worker.http.documents import examples
from inference_worker.http.schemas import with_example


class DocumentOut(BaseModel):
    """A document of the index."""

    model_config = with_example(examples.DOCUMENT)

    name: str
    title: str
    url: str = Field(description='The live page; "" if unknown.')
    format: str = Field(description="The format it was written in.")
    changed: str = Field(
        description='When it was last changed, as it states itself; "" if unknown.'
    )
    etag: str = Field(description="Hash of its content, for If-Match.")
    chunks: int
    origin: Literal["folder", "api"] = Field(
        description="Whether it is from the folder that the index was built from, or this API."
    )

    @classmethod
    def of(cls, first: Chunk, snapshot: IndexState) -> Self:
        """Describe a document by its first chunk."""
        return cls(
            name=first.document,
            title=first.title,
            url=first.url.partition("#")[0],
            format=first.format,
            changed=first.changed,
            etag=first.document_hash,
            chunks=first.siblings,
            origin="api" if first.document in snapshot.uploaded else "folder",
        )


class DocumentText(DocumentOut):
    """A document with its text, as indexed."""

    model_config = with_example(examples.DOCUMENT_TEXT)

    text: str


class DocumentList(BaseModel):
    """A page of the list of documents."""

    model_config = with_example(examples.DOCUMENTS)

    documents: list[DocumentOut]
    total: int = Field(description="Number of documents on all pages.")
    next: str | None = Field(
        default=None, description="Send this as `after` for the next page; null on the last page."
    )
    revision: int = Field(description="The revision of the index that was listed.")


class OutcomeOut(BaseModel):
    """The outcome of a job for one document."""

    name: str
    outcome: Literal["added", "replaced", "unchanged", "deleted", "refused"]
    etag: str = Field(description='Hash of its content now; "" if it is gone.')
    previous: str = Field(description='Hash of its content before; "" if it is new.')
    chunks: int
    embedded: int = Field(description="How many of its chunks were embedded by this job.")
    reason: str = Field(description="Why it was refused; empty if it was not.")


class JobProblem(BaseModel):
    """Why a job failed."""

    type: str
    detail: str


class JobOut(BaseModel):
    """A job that changes documents."""

    model_config = with_example(examples.JOB)

    job: str = Field(description="Its id: GET /v1/jobs/{id} returns its state.")
    kind: Literal["put", "delete", "purge"]
    state: Literal["queued", "running", "done", "failed"]
    done: int = Field(description="Chunks written so far.")
    total: int = Field(description="Chunks to write, as far as known.")
    revision: int = Field(
        description="The first revision of the index that includes the change; 0 until then."
    )
    created_at: str
    finished_at: str
    documents: list[OutcomeOut]
    checked: dict[str, int | list[str]] = Field(
        description="After a deletion: where the document was searched for, and how often found."
    )
    text_on_disk: str = Field(
        description="After a deletion: what text remains on disk, and until when."
    )
    problem: JobProblem | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Convert a job."""
        checked = dict(job.checked)
        changed = {
            "job": job.id,
            "documents": [asdict(outcome) for outcome in job.outcomes],
            "text_on_disk": str(checked.pop("text_on_disk", "")),
            "checked": checked,
            "problem": {"type": job.problem, "detail": job.detail} if job.problem else None,
        }
        return cls(**asdict(job) | changed)  # without the fields that only the job has
