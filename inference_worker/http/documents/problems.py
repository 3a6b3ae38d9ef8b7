"""What can be wrong with a request that changes documents."""

from http import HTTPStatus

from inference_worker.http.problems import BODY_TOO_LARGE, INTERNAL, Problem
from utils.settings import build_command

ADMIN_KEY_NOT_SET = Problem(
    "admin-key-not-set",
    HTTPStatus.FORBIDDEN,
    "Documents cannot be changed here",
    "The operator allows it by setting ADMIN_KEY for this service; requests then carry "
    "`Authorization: Bearer <that key>`.",
)
ADMIN_KEY_MISSING = Problem(
    "admin-key-missing",
    HTTPStatus.UNAUTHORIZED,
    "The admin key is missing",
    "Send `Authorization: Bearer <the service's ADMIN_KEY>`.",
)
ADMIN_KEY_WRONG = Problem(
    "admin-key-wrong",
    HTTPStatus.FORBIDDEN,
    "The admin key is wrong",
    "Send the key that the service was given as ADMIN_KEY.",
)
DOCUMENT_NOT_FOUND = Problem(
    "document-not-found",
    HTTPStatus.NOT_FOUND,
    "There is no such document",
    "GET /v1/documents lists those that there are.",
)
DOCUMENT_REFUSED = Problem(
    "document-refused",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "The document cannot be taken",
    "Mend the file, and send it again.",
)
PRECONDITION_FAILED = Problem(
    "precondition-failed",
    HTTPStatus.PRECONDITION_FAILED,
    "The document is another than you thought",
    "Read it again, and repeat the request with its ETag.",
)
JOB_NOT_FOUND = Problem(
    "job-not-found",
    HTTPStatus.NOT_FOUND,
    "There is no such job",
    "Jobs are forgotten some time after they ended. GET /v1/documents/{name} tells what is there.",
)
MODEL_MISMATCH = Problem(
    "model-mismatch",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The index was built in another way than this service would",
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
OF_JOBS = {problem.type: problem for problem in (*ALL, MODEL_MISMATCH, INTERNAL, BODY_TOO_LARGE)}
"""The problems that a job may end with."""
