"""The routes of documents and jobs."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from database.journal.jobs import Job, Precondition
from database.reading.reader import IndexState, Reader
from database.searching.passage_selection import text_of
from inference_worker.http.documents import examples
from inference_worker.http.documents.admin import Admin
from inference_worker.http.documents.change_queue import ChangeQueue
from inference_worker.http.documents.listing import DocumentSummary, page_of_documents
from inference_worker.http.documents.problems import (
    ADMIN_KEY_NOT_SET,
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
from inference_worker.http.examples import INVALID, TOO_LARGE, UNAVAILABLE
from inference_worker.http.problems import INTERNAL, Problem, ProblemError, problem_for
from inference_worker.http.routes import documented_problem
from utils.errors import IndexLockedError

router = APIRouter()

Origin = Literal["folder", "api"]
DocumentName = Annotated[
    str, Path(description="The document's name: a path like `guides/page.md`.", max_length=500)
]
IfMatch = Annotated[
    str, Header(description="Change it only if this is its ETag; `*`: only if it is there.")
]
IfNoneMatch = Annotated[str, Header(description="`*`: only if it is not there.")]


def _shown(problem: Problem, description: str) -> dict[str, Any]:
    return documented_problem(description, examples.example_of(problem))


_NO_INDEX: dict[int | str, dict[str, Any]] = {
    422: documented_problem("A parameter is not valid", INVALID),
    503: documented_problem("The index or the store is not available", UNAVAILABLE),
}
_WRITING: dict[int | str, dict[str, Any]] = {
    **_NO_INDEX,
    202: {"model": JobOut, "description": "It takes longer: GET /v1/jobs/{id} tells how it stands"},
    403: _shown(ADMIN_KEY_NOT_SET, "No admin key is set, or another"),
    409: _shown(problem_for(IndexLockedError("")), "A build is writing the index"),
}
_TAKING: dict[int | str, dict[str, Any]] = {
    413: documented_problem("The body is too large", TOO_LARGE),
    422: _shown(DOCUMENT_REFUSED, "The name or the file cannot be taken; says why"),
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: _shown(DOCUMENT_NOT_FOUND, "There is no such document")
}
_CHANGED_MEANWHILE: dict[int | str, dict[str, Any]] = {
    412: _shown(PRECONDITION_FAILED, "If-Match or If-None-Match does not hold")
}


async def _reader(request: Request) -> Reader:
    reader: Reader = request.app.state.reader
    return reader


async def _queue(request: Request) -> ChangeQueue:
    queue: ChangeQueue = request.app.state.changes
    return queue


async def _receiver(request: Request) -> UploadParser:
    receiver: UploadParser = request.app.state.receiver
    return receiver


LiveReader = Annotated[Reader, Depends(_reader)]
QueueOfApp = Annotated[ChangeQueue, Depends(_queue)]
ReceiverOfApp = Annotated[UploadParser, Depends(_receiver)]


@router.get("/v1/documents", tags=["documents"], responses=_NO_INDEX)
async def list_documents(
    reader: LiveReader,
    prefix: Annotated[str, Query(description="How the names begin.", max_length=500)] = "",
    after: Annotated[str, Query(description="`next` of the page before.", max_length=500)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DocumentList:
    """List the documents of the index by name."""
    snapshot = await asyncio.to_thread(reader.current)
    names = snapshot.corpus.lexical.documents
    page, total = page_of_documents(snapshot.corpus.chunks, names, prefix, after, limit)
    more = await asyncio.to_thread(
        page_of_documents, snapshot.corpus.chunks, names, prefix, page[-1].name if page else "", 1
    )
    return DocumentList(
        documents=[DocumentOut.of(listed, _origin(listed.name, snapshot)) for listed in page],
        total=total,
        next=page[-1].name if page and more[0] else None,
        revision=snapshot.live.revision,
    )


@router.get(
    "/v1/documents/{name:path}",
    name="read_document",
    tags=["documents"],
    responses=_NO_INDEX | _NOT_FOUND,
)
async def get_document(response: Response, reader: LiveReader, name: DocumentName) -> DocumentText:
    """Read a document, as it is searched; the `ETag` is what `If-Match` takes."""
    snapshot = await asyncio.to_thread(reader.current)
    chunks = snapshot.document(name)
    if not chunks:
        raise ProblemError(DOCUMENT_NOT_FOUND)
    response.headers["ETag"] = f'"{chunks[0].document_hash}"'
    shown = DocumentOut.of(DocumentSummary.of(chunks[0]), _origin(name, snapshot))
    return DocumentText(**shown.model_dump(), text=text_of(chunks))


@router.put(
    "/v1/documents/{name:path}",
    tags=["documents"],
    dependencies=[Admin],
    responses=_WRITING
    | _TAKING
    | _CHANGED_MEANWHILE
    | {201: {"model": JobOut, "description": "It was added"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            "description": "The file; its format is told by the name's ending.",
        }
    },
)
async def put_document(
    request: Request,
    response: Response,
    receiver: ReceiverOfApp,
    queue: QueueOfApp,
    name: DocumentName,
    title: Annotated[str, Query(max_length=500)] = "",
    url: Annotated[str, Query(max_length=2000, description="Where it is read live.")] = "",
    changed: Annotated[str, Query(max_length=40, description="When (ISO 8601).")] = "",
    if_match: IfMatch = "",
    if_none_match: IfNoneMatch = "",
) -> JobOut:
    """Add a document, or replace it; with the same content, nothing happens."""
    document = await receiver.one(request, name, frontmatter_of(title, url, changed))
    condition = Precondition(if_match, if_none_match)
    job = await queue.put([document], [], condition)
    job = await queue.wait(job, preferred_wait_seconds(request))
    answer = _answer(job, response)
    if job.is_finished:
        response.headers["ETag"] = f'"{job.outcomes[0].etag}"'
        response.status_code = 201 if job.outcomes[0].outcome == "added" else 200
    return answer


@router.post(
    "/v1/documents",
    tags=["documents"],
    dependencies=[Admin],
    responses=_WRITING | _TAKING,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "files": {
                                "type": "array",
                                "items": {"type": "string", "format": "binary"},
                            }
                        },
                        "required": ["files"],
                    }
                }
            },
        }
    },
)
async def post_documents(
    request: Request, response: Response, receiver: ReceiverOfApp, queue: QueueOfApp
) -> JobOut:
    """Add or replace several documents in one step, each named by its part's file name.

    A file that cannot be taken is left out, and `documents` says why.
    """
    documents, refused = await receiver.several(request)
    if not documents:
        raise ProblemError(
            DOCUMENT_REFUSED, "; ".join(f"{outcome.name}: {outcome.reason}" for outcome in refused)
        )
    job = await queue.put(documents, refused, Precondition())
    return _answer(await queue.wait(job, preferred_wait_seconds(request)), response)


@router.delete(
    "/v1/documents/{name:path}",
    tags=["documents"],
    dependencies=[Admin],
    responses=_WRITING
    | _NOT_FOUND
    | _CHANGED_MEANWHILE
    | {200: {"content": {"application/json": {"example": examples.DELETED}}}},
)
async def delete_document(
    request: Request,
    response: Response,
    queue: QueueOfApp,
    name: DocumentName,
    purge: Annotated[
        bool, Query(description="Also move the index to a new collection, and delete all others.")
    ] = False,
    if_match: IfMatch = "",
) -> JobOut:
    """Delete a document, and say where it was looked for afterwards."""
    job = await queue.delete(name, purge=purge, condition=Precondition(if_match))
    return _answer(await queue.wait(job, preferred_wait_seconds(request)), response)


@router.get(
    "/v1/jobs/{id}",
    tags=["documents"],
    responses=_NO_INDEX | {404: _shown(JOB_NOT_FOUND, "There is no such job")},
)
async def read_job(queue: QueueOfApp, id: Annotated[str, Path(max_length=100)]) -> JobOut:  # noqa: A002  # the route's word
    """Tell how a change stands."""
    job = await queue.find(id)
    if job is None:
        raise ProblemError(JOB_NOT_FOUND)
    return JobOut.of(job)


def _origin(name: str, snapshot: IndexState) -> Origin:
    return "api" if name in snapshot.uploaded else "folder"


def _answer(job: Job, response: Response) -> JobOut:
    """What a change came to, or how it stands."""
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if not job.is_finished:
        response.status_code = 202
        return JobOut.of(job)
    if job.problem:
        raise ProblemError(OF_JOBS.get(job.problem, INTERNAL), job.detail)
    if all(outcome.outcome == "refused" for outcome in job.outcomes):
        reasons = "; ".join(f"{outcome.name}: {outcome.reason}" for outcome in job.outcomes)
        raise ProblemError(DOCUMENT_REFUSED, reasons)
    return JobOut.of(job)
