"""Example responses about documents, for OpenAPI; a test validates them against the schemas."""

from typing import Any

from inference_worker.http.problems import Problem, problem_document

_ETAG = "6a8c1f0e9d2b4c7f8e3a5b1d0c9f7e6a4b2d8c1f3e5a7b9d0c2e4f6a8b1d3c5e"
_JOB = "3f2c9a7d5b8e4f10a6c1d2e3f4a5b6c7"

DOCUMENT: dict[str, Any] = {
    "name": "runbooks/endpoints.md",
    "title": "Our endpoints",
    "url": "https://wiki.example.com/endpoints",
    "format": "markdown",
    "changed": "2026-03-01",
    "etag": _ETAG,
    "chunks": 3,
    "origin": "api",
}
DOCUMENT_TEXT: dict[str, Any] = {**DOCUMENT, "text": "Our endpoints run on two instances each."}
DOCUMENTS: dict[str, Any] = {"documents": [DOCUMENT], "total": 1, "next": None, "revision": 7}
OUTCOME: dict[str, Any] = {
    "name": "runbooks/endpoints.md",
    "outcome": "added",
    "etag": _ETAG,
    "previous": "",
    "chunks": 3,
    "embedded": 3,
    "reason": "",
}
JOB: dict[str, Any] = {
    "job": _JOB,
    "kind": "put",
    "state": "done",
    "done": 3,
    "total": 3,
    "revision": 8,
    "created_at": "2026-03-01T09:30:00.125Z",
    "finished_at": "2026-03-01T09:30:00.410Z",
    "documents": [OUTCOME],
    "checked": {},
    "text_on_disk": "",
    "problem": None,
}
DELETED: dict[str, Any] = {
    **JOB,
    "kind": "delete",
    "done": 0,
    "total": 0,
    "revision": 9,
    "documents": [
        {**OUTCOME, "outcome": "deleted", "etag": "", "previous": _ETAG, "chunks": 0, "embedded": 0}
    ],
    "checked": {
        "chunks": 0,
        "uploaded_texts": 0,
        "postings": 0,
        "cached_answers": 0,
        "found_by_search": 0,
        "accepted_since": 0,
        "collections": ["index-0a1b2c3d4e5f6071"],
    },
    "text_on_disk": "(what remains, and the command that clears it)",
}


def example_of(problem: Problem) -> dict[str, Any]:
    """A problem document about `DOCUMENT`."""
    instance = f"/v1/documents/{DOCUMENT['name']}"
    return problem_document(problem, None, instance, "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
