"""What goes over HTTP about documents and jobs."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from database.journal.jobs import DocumentOutcome, Job
from inference_worker.http.documents import examples
from inference_worker.http.documents.listing import DocumentSummary


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class DocumentOut(BaseModel):
    """A document of the index."""

    model_config = _example(examples.DOCUMENT)

    name: str
    title: str
    url: str = Field(description='Where it is read live; "" if unknown.')
    format: str = Field(description="What it was written in.")
    changed: str = Field(description='When it was last changed, as it says itself; "" if unknown.')
    etag: str = Field(description="Its content's hash: what If-Match takes.")
    chunks: int
    origin: Literal["folder", "api"] = Field(
        description="Whether the index has it from the folder it was built from, or from here."
    )

    @classmethod
    def of(cls, listed: DocumentSummary, origin: Literal["folder", "api"]) -> Self:
        """Show a document."""
        return cls(
            name=listed.name,
            title=listed.title,
            url=listed.url,
            format=listed.format,
            changed=listed.changed,
            etag=listed.etag,
            chunks=listed.chunks,
            origin=origin,
        )


class DocumentText(DocumentOut):
    """A document with its text, as it is searched."""

    model_config = _example(examples.DOCUMENT_TEXT)

    text: str


class DocumentList(BaseModel):
    """A page of the list of documents."""

    model_config = _example(examples.DOCUMENTS)

    documents: list[DocumentOut]
    total: int = Field(description="How many there are, on all pages.")
    next: str | None = Field(
        default=None, description="What to send as `after` for the next page; null at last."
    )
    revision: int = Field(description="The index's revision that this is the state of.")


class OutcomeOut(BaseModel):
    """What became of one document."""

    name: str
    outcome: Literal["added", "replaced", "unchanged", "deleted", "refused"]
    etag: str = Field(description='Its content\'s hash now; "" where there is none.')
    previous: str = Field(description='Its content\'s hash before; "" where there was none.')
    chunks: int
    embedded: int = Field(description="Chunks that were embedded for it.")
    reason: str = Field(description="Why it was refused.")

    @classmethod
    def of(cls, outcome: DocumentOutcome) -> Self:
        """Show an outcome."""
        return cls(
            name=outcome.name,
            outcome=outcome.outcome,
            etag=outcome.etag,
            previous=outcome.previous,
            chunks=outcome.chunks,
            embedded=outcome.embedded,
            reason=outcome.reason,
        )


class JobProblem(BaseModel):
    """Why a job failed."""

    type: str
    detail: str


class JobOut(BaseModel):
    """A change of documents, under way or ended."""

    model_config = _example(examples.JOB)

    job: str = Field(description="Its id: GET /v1/jobs/{id} tells how it stands.")
    kind: Literal["put", "delete", "purge"]
    state: Literal["queued", "running", "done", "failed"]
    done: int = Field(description="Chunks written so far.")
    total: int = Field(description="Chunks to be written, as far as is known.")
    revision: int = Field(description="The index's revision that shows it; 0 until it does.")
    created_at: str
    finished_at: str
    documents: list[OutcomeOut]
    checked: dict[str, int | list[str]] = Field(
        description="After a deletion: where the document was looked for, and how often found."
    )
    text_on_disk: str = Field(description="After a deletion: what remains on disk until when.")
    problem: JobProblem | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        """Show a job."""
        checked = dict(job.checked)
        text_on_disk = str(checked.pop("text_on_disk", ""))
        return cls(
            job=job.id,
            kind=job.kind,
            state=job.state,
            done=job.done,
            total=job.total,
            revision=job.revision,
            created_at=job.created_at,
            finished_at=job.finished_at,
            documents=[OutcomeOut.of(outcome) for outcome in job.outcomes],
            checked=checked,
            text_on_disk=text_on_disk,
            problem=JobProblem(type=job.problem, detail=job.detail) if job.problem else None,
        )
