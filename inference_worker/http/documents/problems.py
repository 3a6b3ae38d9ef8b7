"""The problems of requests that read or change documents."""

from inference_worker.http.problems import BODY_TOO_LARGE, INTERNAL, Problem, problem_for
from utils.errors import DiskFullError, StoreProcessError
from utils.settings import build_command

DOCUMENT_NOT_FOUND = Problem(
    "document-not-found", 404, "There is no such document", "GET /v1/documents lists the documents."
)
DOCUMENT_REFUSED = Problem(
    "document-refused", 422, "The document is refused", "Fix the file and upload it again."
)
PRECONDITION_FAILED = Problem(
    "precondition-failed",
    412,
    "The document is not in the expected version",
    "Read it again, and repeat the request with its current ETag.",
)
JOB_NOT_FOUND = Problem(
    "job-not-found",
    404,
    "There is no such job",
    "Jobs are deleted some time after they end. GET /v1/documents/{name} returns the document.",
)
MODEL_MISMATCH = Problem(
    "model-mismatch",
    503,
    "The index was built with other settings than this service's",
    f"The operator must build the index again ({build_command()}).",
)

ALL = (
    DOCUMENT_NOT_FOUND,
    DOCUMENT_REFUSED,
    PRECONDITION_FAILED,
    JOB_NOT_FOUND,
)
DISK_FULL = problem_for(DiskFullError())
STORE_UNREACHABLE = problem_for(StoreProcessError())
OF_JOBS = {
    problem.type: problem
    for problem in (
        *ALL,
        MODEL_MISMATCH,
        DISK_FULL,
        STORE_UNREACHABLE,
        INTERNAL,
        BODY_TOO_LARGE,
    )
}
"""The problems that a job may end with, by type."""
