"""OpenAPI has a schema and a valid example for every response."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel, ValidationError

from database.searching.filters import EVERYTHING
from dataset.documents import check_name
from inference_worker.app import create_app
from inference_worker.http.openai.request import ChatRequest
from inference_worker.http.request_filters import FiltersIn
from inference_worker.http.schemas import AnswerRequest, AnswerResponse, FoundEvent, TokenEvent
from utils.errors import DocumentError
from utils.settings import Settings

FORMATS = FormatChecker(["date"])


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(text: object) -> bool:
    return "T" in str(text) and datetime.fromisoformat(str(text)).tzinfo is not None


Place = tuple[str, str, str, str]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("index")
    return create_app(Settings(_env_file=None, database=str(folder))).openapi()


def responses(schema: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    yield (path, method, status, kind), content


def resolved(content: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A response's schema with the definitions that it refers to."""
    return {**content["schema"], "components": schema["components"]}


def examples_of(content: dict[str, Any], schema: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [example["value"] for example in content["examples"].values()]
    name = content["schema"].get("$ref", "").rpartition("/")[2]
    found: list[Any] = schema["components"]["schemas"].get(name, {}).get("examples", [])
    return found


def test_every_response_has_a_schema_and_a_valid_example(schema: dict[str, Any]) -> None:
    seen = 0
    for place, content in responses(schema):
        assert content.get("schema"), place
        examples = examples_of(content, schema)
        assert examples, place
        for example in examples:
            errors = list(Draft202012Validator(resolved(content, schema)).iter_errors(example))
            assert not errors, (place, errors)
            seen += 1
    assert seen > 12


def test_invalid_example_is_detected(schema: dict[str, Any]) -> None:
    content = schema["paths"]["/v1/answers"]["post"]["responses"]["200"]["content"]
    validator = Draft202012Validator(resolved(content["application/json"], schema))
    assert not validator.is_valid({"answer": 5})


def test_refusals_and_missing_keys_are_described(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            own = {"4XX"} if path.startswith(("/v1/chat", "/v1/models")) else {"400", "421"}
            assert own <= statuses, (method, path)
            assert ("304" in statuses) == (method == "get"), (method, path)
            has_key = "401" in statuses or "4XX" in own
            assert has_key == bool(operation.get("security")), (method, path)
            if method != "get":
                assert statuses & {"403", "4XX"}, (method, path)


@pytest.mark.parametrize(
    ("field", "valid", "invalid"),
    [
        ("question", ["a", " a ", "\u00e4"], ["", " ", "\n\t", "\u00a0", "\x1f", "x" * 4001]),
        ("stream", [True, False], [0, 1, "true", None]),
        ("top_k", [1, 100, None], [0, 101, "8", True, 1.5]),
        ("strem", [], [True]),
        ("filters", [None, {}], [{"documnts": ["a"]}, {"formats": ["word"]}, {"formats": []}]),
        ("filters.formats", [["pdf", "html"]], [["PDF"], "pdf"]),
        ("filters.changed_since", ["2026-03-01", "2026-03-01T12:00:00Z"], ["spring", "2026-02-30"]),
        ("filters.documents", [["*.md"]], [[], [""], ["x" * 501]]),
    ],
)
def test_schema_states_what_is_validated(
    schema: dict[str, Any], field: str, valid: list[Any], invalid: list[Any]
) -> None:
    request = {
        **schema["components"]["schemas"]["AnswerRequest"],
        "components": schema["components"],
    }
    validator = Draft202012Validator(request, format_checker=FORMATS)
    outer, _, inner = field.partition(".")
    for value, is_valid in [
        *((each, True) for each in valid),
        *((each, False) for each in invalid),
    ]:
        body = {"question": "a", outer: {inner: value} if inner else value}
        assert validator.is_valid(body) is is_valid, body
        if body["question"] != "x" * 4001:  # a setting, which the model does not know
            assert is_accepted(AnswerRequest, body) is is_valid, body


def is_accepted(model: type[BaseModel], body: dict[str, Any]) -> bool:
    try:
        model.model_validate(body)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "changed",
    [
        *({"stream": 0}, {"stream": "true"}, {"stream_options": {"include_usage": 0}}, {"n": 2}),
        *({"n": True}, {"tool_choice": "required"}, {"response_format": {"type": "json_object"}}),
        *({"messages": []}, {"messages": [{"role": "system", "content": "a"}]}),
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    ],
)
def test_chat_schema_states_what_is_validated(
    schema: dict[str, Any], changed: dict[str, Any]
) -> None:
    request = {**schema["components"]["schemas"]["ChatRequest"], "components": schema["components"]}
    validator = Draft202012Validator(request)
    valid = {"messages": [{"role": "user", "content": "a"}], "temperature": 0.1, "user": "b"}

    assert validator.is_valid(valid)
    assert is_accepted(ChatRequest, valid)
    assert not validator.is_valid(valid | changed)
    assert not is_accepted(ChatRequest, valid | changed)


def test_name_of_an_upload_is_described(schema: dict[str, Any]) -> None:
    (name, *_others) = schema["paths"]["/v1/documents/{name}"]["put"]["parameters"]
    valid = ("a.md", "guides/page.PDF", "a b/c d.tar.csv", "\u00e4/\u4e2d.txt", "a/b..md")
    invalid = ("a", "a.exe", ".md", "../a.md", "a//b.md", "/a.md", "a/.b.md", "a\\b.md", "a \n.md")
    validator = Draft202012Validator(name["schema"])
    for candidate in (*valid, *invalid):
        is_valid = candidate in valid
        assert validator.is_valid(candidate) is is_valid, candidate
        with nullcontext() if is_valid else pytest.raises(DocumentError):
            check_name(candidate)


def test_every_route_describes_its_errors(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            statuses = set(operation["responses"])
            if path.startswith("/v1") or path == "/inference_endpoint":
                assert statuses - {"200"}, path


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/chat/completions"])
def test_streams_are_described_beside_json_responses(schema: dict[str, Any], path: str) -> None:
    content = schema["paths"][path]["post"]["responses"]["200"]["content"]
    assert content.keys() == {"application/json", "text/event-stream"}


def test_chat_describes_openai_errors_and_fields_without_effect(schema: dict[str, Any]) -> None:
    described = schema["paths"]["/v1/chat/completions"]["post"]
    assert {"4XX", "503"} <= described["responses"].keys()
    assert "422" not in described["responses"]
    assert "System and developer messages" in described["description"]


def test_stream_examples_consist_of_valid_events(schema: dict[str, Any]) -> None:
    models: dict[str, type[BaseModel]] = {
        "passages": FoundEvent,
        "token": TokenEvent,
        "answer": AnswerResponse,
    }
    content = schema["paths"]["/v1/answers"]["post"]["responses"]["200"]["content"]
    frames = content["text/event-stream"]["example"].strip().split("\n\n")
    names = []
    for frame in frames:
        name, data = re.fullmatch(r"event: (\w+)\ndata: (.*)", frame).groups()  # type: ignore[union-attr]
        models[name].model_validate_json(data)
        names.append(name)
    assert names == ["passages", "token", "answer"]
    assert str(FoundEvent.__name__) in content["text/event-stream"]["schema"]["description"]

    chat = schema["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    chunk, done = chat["text/event-stream"]["example"].strip().split("\n\n")
    assert ChatCompletionChunk.model_validate_json(chunk.removeprefix("data: ")).choices
    assert done == "data: [DONE]"


def test_request_filters_have_a_valid_example(schema: dict[str, Any]) -> None:
    filters = schema["components"]["schemas"]["FiltersIn"]
    (example,) = filters["examples"]
    assert FiltersIn.model_validate(example).to_filters() != EVERYTHING
    for request in ("AnswerRequest", "SearchRequest"):
        properties = schema["components"]["schemas"][request]["properties"]
        assert "FiltersIn" in str(properties["filters"])
