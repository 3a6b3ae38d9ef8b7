"""The routes that list, read, add, replace and delete documents, and read jobs."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from database.journal.jobs import DocumentOutcome, Job, Precondition
from database.reading.reader import Reader
from dataset.chunks import document_text
from inference_worker.http.documents import examples
from inference_worker.http.documents.change_queue import ChangeQueue
from inference_worker.http.documents.listing import page_of_documents
from inference_worker.http.documents.parameters import (
    AnyForm,
    DocumentName,
    IfMatch,
    IfNoneMatch,
    NewName,
    UploadDate,
    UploadTitle,
    UploadUrl,
)
from inference_worker.http.documents.problems import (
    DISK_FULL,
    DOCUMENT_NOT_FOUND,
    DOCUMENT_REFUSED,
    JOB_NOT_FOUND,
    OF_JOBS,
    PRECONDITION_FAILED,
)
from inference_worker.http.documents.schemas import DocumentList, DocumentOut, DocumentText, JobOut
from inference_worker.http.documents.upload_parser import (
    UploadParser,
    frontmatter_of,
    preferred_wait_seconds,
)
from inference_worker.http.examples import INVALID
from inference_worker.http.problems import INTERNAL, Problem, ProblemError, problem_for
from inference_worker.http.routes import (
    NOT_MODIFIED,
    OWN_PARAMETERS_ONLY,
    PROBLEMS,
    REFUSED,
    documented_problem,
    from_app,
)
from utils.errors import IndexLockedError

router = APIRouter(tags=["documents"], dependencies=[OWN_PARAMETERS_ONLY])

_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
_FORM = {"type": "object", "properties": {"files": _FILES}, "required": ["files"]}


def _request_body(media_type: str, schema: dict[str, Any], **more: str) -> dict[str, Any]:
    content = {media_type: {"schema": schema}}
    return {"requestBody": {"required": True, "content": content, **more}}


def _problem(problem: Problem, description: str) -> dict[str, Any]:
    return documented_problem(description, examples.example_of(problem))


_ANY: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    422: documented_problem("A parameter is not valid", INVALID),
    503: PROBLEMS[503],
}
_READ = _ANY | NOT_MODIFIED
_WRITE: dict[int | str, dict[str, Any]] = {
    **_ANY,
    202: {"model": JobOut, "description": "In progress: GET /v1/jobs/{id} returns its state"},
    409: _problem(
        problem_for(IndexLockedError("")), "Another process writes the index; `detail` names it"
    ),
    507: _problem(DISK_FULL, "The disk is full; `detail` states how much must be freed"),
}
_UPLOAD: dict[int | str, dict[str, Any]] = {
    413: PROBLEMS[413],
    422: _problem(DOCUMENT_REFUSED, "The name or the file is refused; `detail` states why"),
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: _problem(DOCUMENT_NOT_FOUND, "There is no such document")
}
_CONDITION: dict[int | str, dict[str, Any]] = {
    412: _problem(PRECONDITION_FAILED, "If-Match or If-None-Match is not fulfilled")
}

LiveReader = Annotated[Reader, from_app("reader")]
Queue = Annotated[ChangeQueue, from_app("changes")]
Parser = Annotated[UploadParser, from_app("upload_parser")]


@router.get("/v1/documents", responses=_READ)
async def list_documents(
    reader: LiveReader,
    prefix: Annotated[str, AnyForm, Query(description="How the names begin.", max_length=500)] = "",
    after: Annotated[
        str, AnyForm, Query(description="`next` of the previous page.", max_length=500)
    ] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DocumentList:
    """List the documents of the index by name."""
    snapshot = await asyncio.to_thread(reader.current)
    names = snapshot.corpus.lexical.documents
    found, total = page_of_documents(snapshot.corpus.chunks, names, prefix, after, limit + 1)
    page = found[:limit]
    return DocumentList(
        documents=[DocumentOut.of(first, snapshot) for first in page],
        total=total,
        next=page[-1].document if len(found) > limit else None,
        revision=snapshot.live.revision,
    )


@router.get("/v1/documents/{name:path}", name="read_document", responses=_READ | _NOT_FOUND)
async def get_document(response: Response, reader: LiveReader, name: DocumentName) -> DocumentText:
    """Read a document as indexed; send its `ETag` as `If-Match` to change this version only."""
    snapshot = await asyncio.to_thread(reader.current)
    chunks = snapshot.document(name)
    if not chunks:
        raise ProblemError(DOCUMENT_NOT_FOUND)
    response.headers["ETag"] = f'"{chunks[0].document_hash}"'
    shown = DocumentOut.of(chunks[0], snapshot)
    return DocumentText(**shown.model_dump(), text=document_text(chunks))


@router.put(
    "/v1/documents/{name:path}",
    responses=_WRITE
    | _UPLOAD
    | _CONDITION
    | {201: {"model": JobOut, "description": "The document was added"}},
    openapi_extra=_request_body(
        "application/octet-stream",
        {"type": "string", "minLength": 1},
        description="The file; the ending of its name determines its format.",
    ),
)
async def put_document(
    request: Request,
    response: Response,
    parser: Parser,
    queue: Queue,
    name: NewName,
    title: UploadTitle = "",
    url: UploadUrl = "",
    changed: UploadDate = "",
    if_match: IfMatch = "",
    if_none_match: IfNoneMatch = "",
) -> JobOut:
    """Add or replace a document; with unchanged content, nothing is written."""
    document = await parser.parse_body(request, name, frontmatter_of(title, url, changed))
    condition = Precondition(if_match, if_none_match)
    job = await queue.put([document], [], condition)
    job = await queue.wait(job, preferred_wait_seconds(request))
    answer = _job_response(job, response)
    if job.is_finished:
        response.headers["ETag"] = f'"{job.outcomes[0].etag}"'
        response.status_code = 201 if job.outcomes[0].outcome == "added" else 200
    return answer


@router.post(
    "/v1/documents",
    responses=_WRITE | _UPLOAD,
    openapi_extra=_request_body("multipart/form-data", _FORM),
)
async def post_documents(
    request: Request, response: Response, parser: Parser, queue: Queue
) -> JobOut:
    """Add or replace several documents in one job; the file name of each part is its name.

    Files that are refused are left out; `documents` states why.
    """
    documents, refused = await parser.parse_form(request)
    if not documents:
        raise _refusal(refused)
    job = await queue.put(documents, refused, Precondition())
    return _job_response(await queue.wait(job, preferred_wait_seconds(request)), response)


@router.delete(
    "/v1/documents/{name:path}",
    responses=_WRITE
    | _NOT_FOUND
    | _CONDITION
    | {200: {"content": {"application/json": {"example": examples.DELETED}}}},
)
async def delete_document(
    request: Request,
    response: Response,
    queue: Queue,
    name: DocumentName,
    purge: Annotated[
        bool, Query(description="Also copy the index to a new collection, and delete the others.")
    ] = False,
    if_match: IfMatch = "",
) -> JobOut:
    """Delete a document, and report where it was searched for afterwards."""
    job = await queue.delete(name, purge=purge, condition=Precondition(if_match))
    return _job_response(await queue.wait(job, preferred_wait_seconds(request)), response)


@router.get(
    "/v1/jobs/{id}", responses=_READ | {404: _problem(JOB_NOT_FOUND, "There is no such job")}
)
async def read_job(queue: Queue, id: Annotated[str, Path(max_length=100)]) -> JobOut:  # noqa: A002 - the name in the route
    """Read the state of a job."""
    job = await queue.find(id)
    if job is None:
        raise ProblemError(JOB_NOT_FOUND)
    return JobOut.of(job)


def _job_response(job: Job, response: Response) -> JobOut:
    """The job as the response: 202 while it runs.

    Raises:
        ProblemError: it failed.
    """
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if not job.is_finished:
        response.status_code = 202
        return JobOut.of(job)
    if job.problem:
        raise ProblemError(OF_JOBS.get(job.problem, INTERNAL), job.detail)
    if all(outcome.outcome == "refused" for outcome in job.outcomes):
        raise _refusal(job.outcomes)
    return JobOut.of(job)


def _refusal(outcomes: Iterable[DocumentOutcome]) -> ProblemError:
    reasons = "; ".join(f"{outcome.name}: {outcome.reason}" for outcome in outcomes)
    return ProblemError(DOCUMENT_REFUSED, reasons)
