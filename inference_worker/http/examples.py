"""Example responses, for OpenAPI; a test validates them against the schemas."""

from typing import Any

from inference_worker.http.problems import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    INVALID_REQUEST,
    problem_document,
    problem_for,
)
from inference_worker.http.trusted_hosts import HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED
from utils.errors import StoreUnreachableError

QUESTION = "How to check if an endpoint is KMS encrypted"
ANSWER = "Call `DescribeEndpointConfig` and look for `KmsKeyId` in its response [1]."

_MARKER = ANSWER.index("[1]")
_DOCUMENT = "api-reference/DescribeEndpointConfig.md"
_TITLE = "DescribeEndpointConfig"
_URL = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpointConfig.html"
_QUOTE = "- **KmsKeyId** (string): the key that encrypts the storage volume."

FILTERS: dict[str, Any] = {"documents": ["api-reference/*"], "title": "endpoint"}
PASSAGE: dict[str, Any] = {
    "document": _DOCUMENT,
    "title": _TITLE,
    "headings": ["Response"],
    "anchor": "",
    "url": _URL,
    "text": _QUOTE,
    "score": 7.9312,
    "dense_rank": 1,
    "lexical_rank": 4,
}
ORIGINAL: dict[str, Any] = {"answer": ANSWER, "docs": [_DOCUMENT]}
SEARCH: dict[str, Any] = {
    "query": QUESTION,
    "answerable": True,
    "confidence": 0.9731,
    "passages": [PASSAGE],
}
SEARCHES = [{"query": QUESTION, "by": "user"}]
FOUND: dict[str, Any] = {
    "answerable": True,
    "confidence": 0.9731,
    "searches": SEARCHES,
    "passages": [PASSAGE],
}
WHOLE: dict[str, Any] = {
    **ORIGINAL,
    "citations": [
        {
            "number": 1,
            "start": _MARKER,
            "end": _MARKER + 3,
            "document": _DOCUMENT,
            "title": _TITLE,
            "headings": ["Response"],
            "quote": _QUOTE,
            "url": _URL,
        }
    ],
    "unsupported": [],
    "misplaced": [],
    "removed_citations": 0,
    "uncited_sentences": 0,
    "generator": "mistral-large-latest",
    "degraded": False,
    "degraded_reason": None,
    "answerable": True,
    "coverage": "full",
    "confidence": 0.9731,
    "searches": SEARCHES,
    "finish_reason": "stop",
    "truncated": False,
    "cached": False,
    "usage": {"input_tokens": 2143, "output_tokens": 24},
    "corpus": {
        "revision": 3,
        "built_at": "2026-11-20T08:15:00+00:00",
        "documents": 2706,
        "sources": [
            {
                "name": "Amazon SageMaker API Reference",
                "documents": 1422,
                "url": "https://docs.aws.amazon.com/sagemaker/latest/APIReference/",
                "as_of": "botocore 1.44.5",
            }
        ],
    },
    "passages": [PASSAGE],
    "timings": {"retrieve": 14.8, "generate": 912.4, "ground": 1.9, "total": 929.1},
}
LIVENESS: dict[str, Any] = {"status": "alive"}
READINESS: dict[str, Any] = {
    "ready": True,
    "checks": {name: {"ok": True, "detail": "ok"} for name in ("store", "index", "model")},
    "saturated": False,
    "index": {
        "embedding_model": "sentence-transformers/all-MiniLM-L6-v2",
        "documents": 2706,
        "chunks": 20957,
        "built_at": "2026-11-20T08:15:00+00:00",
        "revision": 3,
    },
}
METRICS = 'docsqa_llm_tokens_total{direction="input"} 2143.0\n'

_REQUEST_ID = "5f0c2f6f1d5b4a9c8e3a7b2d4c6e8f01"

MALFORMED = problem_document(BAD_REQUEST, None, "/v1/answers", _REQUEST_ID)
FOREIGN_HOST = problem_document(HOST_NOT_ALLOWED, None, "/v1/answers", _REQUEST_ID)
FOREIGN_ORIGIN = problem_document(ORIGIN_NOT_ALLOWED, None, "/v1/answers", _REQUEST_ID)
TOO_LARGE = problem_document(
    BODY_TOO_LARGE, "Send at most 1,048,576 bytes.", "/v1/answers", _REQUEST_ID
)
INVALID = problem_document(
    INVALID_REQUEST, "question: is blank; ask a question", "/v1/answers", _REQUEST_ID
)
UNAVAILABLE = problem_document(
    problem_for(StoreUnreachableError("")), None, "/v1/answers", _REQUEST_ID
)
