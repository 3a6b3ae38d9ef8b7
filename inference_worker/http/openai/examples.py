"""Example requests and responses, for OpenAPI; a test validates them against the schemas."""

import json
from typing import Any

from inference_worker.http.examples import ANSWER, PASSAGE, QUESTION, WHOLE
from inference_worker.http.openai_errors import error_body
from inference_worker.http.problems import INVALID_REQUEST, problem_for
from utils.errors import StoreUnreachableError
from utils.settings import Settings

MODEL = Settings.model_fields["model_alias"].default
_TITLE = f"{PASSAGE['title']} > {PASSAGE['headings'][0]}"
_CONTENT = f"{ANSWER}\n\nSources:\n- [1] [{_TITLE}]({PASSAGE['url']})"
_START = ANSWER.index("[1]")
_NOT_ABOUT = {"answer", "citations", "usage", "corpus", "passages", "timings", "finish_reason"}
_ID = {"id": "chatcmpl-5f0c2f6f1d5b4a9c8e3a7b2d4c6e8f01", "created": 1795161600, "model": MODEL}

REQUEST: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": QUESTION}],
    "stream": False,
}
COMPLETION: dict[str, Any] = {
    **_ID,
    "object": "chat.completion",
    "system_fingerprint": "index-3",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": _CONTENT,
                "refusal": None,
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "start_index": _START,
                            "end_index": _START + 3,
                            "title": _TITLE,
                            "url": PASSAGE["url"],
                        },
                    }
                ],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 2143, "completion_tokens": 24, "total_tokens": 2167},
    "sagemaker_docs": {name: value for name, value in WHOLE.items() if name not in _NOT_ABOUT},
}
_CHUNK = {
    **_ID,
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"content": "Call"}, "finish_reason": None}],
}
STREAM = f"data: {json.dumps(_CHUNK)}\n\ndata: [DONE]\n\n"
ONE_MODEL: dict[str, Any] = {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}
MODELS: dict[str, Any] = {"object": "list", "data": [ONE_MODEL]}


INVALID = error_body(
    INVALID_REQUEST.status,
    "messages: ends with a blank question; ask one",
    INVALID_REQUEST.type,
    "messages",
)
_UNREACHABLE = problem_for(StoreUnreachableError(""))
UNAVAILABLE = error_body(_UNREACHABLE.status, _UNREACHABLE.detail, _UNREACHABLE.type)
