"""OpenAPI has a schema and a valid example for every response."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from database.searching.filters import EVERYTHING
from inference_worker.app import create_app
from inference_worker.http.request_filters import FiltersIn
from inference_worker.http.schemas import AnswerResponse, FoundEvent, TokenEvent
from utils.settings import Settings

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
