"""The problems of requests that read or change documents."""

from inference_worker.http.problems import BODY_TOO_LARGE, INTERNAL, Problem, problem_for
from utils.errors import DiskFullError, StoreProcessError
from utils.settings import build_command

ADMIN_KEY_NOT_SET = Problem(
    "admin-key-not-set",
    403,
    "Documents cannot be changed here",
    "The operator must set ADMIN_KEY for this service; requests then send "
    "`Authorization: Bearer <that key>`.",
)
ADMIN_KEY_MISSING = Problem(
    "admin-key-missing",
    401,
    "The admin key is missing",
    "Send `Authorization: Bearer <the service's ADMIN_KEY>`.",
)
ADMIN_KEY_WRONG = Problem(
    "admin-key-wrong", 403, "The admin key is wrong", "Send the value of the service's ADMIN_KEY."
)
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
    ADMIN_KEY_NOT_SET,
    ADMIN_KEY_MISSING,
    ADMIN_KEY_WRONG,
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
