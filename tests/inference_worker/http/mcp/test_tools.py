"""The tools at /mcp: what they take, what they return, and what a wrong call is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import Tool
from pydantic import SecretStr

from tests.servers.chat.mistral import MistralServer, answer, failed
from tests.servers.mcp_service import (
    CURRENT,
    FOREIGN,
    QUESTION,
    call,
    called,
    documentation,
    refused,
    serve,
    text_of,
)
from tests.servers.service import Service

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with documentation(tmp_path_factory.mktemp("mcp")) as address:
        yield address


@pytest.fixture(scope="module")
def service(database: str) -> Iterator[Service]:
    with serve(database) as running:
        yield running


@pytest.fixture
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        yield server


def with_mistral(mistral: MistralServer) -> dict[str, Any]:
    return {"mistral_api_key": SecretStr("test-key"), "mistral_base_url": mistral.url}


@pytest.fixture
async def tools(service: Service) -> dict[str, Tool]:
    async with Client(f"{service.url}/mcp", mode=CURRENT) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("name", ["search", "fetch", "ask"])
def test_tool_tells_a_language_model_all_it_needs(tools: dict[str, Tool], name: str) -> None:
    tool = tools[name]

    assert tool.description is not None
    assert "Use it" in tool.description
    assert "Returns `" in tool.description
    assert tool.title
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint is True
    assert tool.annotations.destructive_hint is False
    assert tool.annotations.open_world_hint is (name == "ask")
    assert tool.output_schema is not None
    assert tool.input_schema["additionalProperties"] is False
    for argument in tool.input_schema["properties"].values():
        assert argument["description"]
        assert argument["examples"]


def test_limits_of_the_arguments_are_in_their_schemas(tools: dict[str, Tool]) -> None:
    query, top_k = (tools["search"].input_schema["properties"][name] for name in ("query", "top_k"))
    question = tools["ask"].input_schema["properties"]["question"]

    assert (query["minLength"], query["maxLength"]) == (1, 4000)
    assert (question["minLength"], question["maxLength"]) == (1, 4000)
    assert (top_k["minimum"], top_k["maximum"], top_k["default"]) == (1, 20, 8)
    assert tools["fetch"].input_schema["properties"]["id"]["maxLength"] == 500
    assert tools["search"].input_schema["required"] == ["query"]


async def test_search_returns_what_connectors_look_for(service: Service) -> None:
    result = await call(service, "search", {"query": QUESTION, "top_k": 2})

    found = result.structured_content
    assert json.loads(text_of(result)) == found
    assert found["answerable"] is True
    assert 0 < found["confidence"] <= 1
    assert len(found["results"]) == 2
    first, second = found["results"]
    assert first.keys() == {"id", "title", "url", "text", "headings", "score"}
    assert first["title"] == "Work with endpoints"
    assert first["headings"] == ["Encrypt an endpoint"]
    assert first["url"] == "https://docs.example/endpoints.html#encrypt"
    assert "KmsKeyId" in first["text"]
    assert first["score"] >= second["score"]


async def test_search_says_where_the_documentation_does_not_answer(service: Service) -> None:
    found = await called(service, "search", {"query": FOREIGN})

    assert found["answerable"] is False
    assert found["results"]


async def test_search_returns_eight_passages_unless_told(service: Service) -> None:
    assert len((await called(service, "search", {"query": "Part"}))["results"]) == 8


async def test_every_result_of_a_search_can_be_fetched(service: Service) -> None:
    found = await called(service, "search", {"query": QUESTION, "top_k": 20})

    for hit in found["results"]:
        document = await called(service, "fetch", {"id": hit["id"]})
        assert document["title"] == hit["title"]
        assert hit["text"].removesuffix("…") in document["text"]


async def test_document_that_fits_comes_whole_wherever_it_is_entered(service: Service) -> None:
    result = await call(service, "fetch", {"id": "endpoints.md"})
    entered = await called(service, "fetch", {"id": "endpoints.md#1"})

    document = result.structured_content
    assert json.loads(text_of(result)) == document
    assert document.keys() == {"id", "title", "text", "url", "metadata"}
    assert document["id"] == "endpoints.md"
    assert document["title"] == "Work with endpoints"
    assert document["url"] == "https://docs.example/endpoints.html#endpoints"
    assert document["text"] == (
        "An endpoint serves predictions. It runs on instances that you choose.\n\n"
        "## Encrypt an endpoint\n\n"
        "Set `KmsKeyId` in the endpoint configuration. The storage volume is then encrypted."
    )
    assert document["metadata"] == {
        "document": "endpoints.md",
        "headings": "Work with endpoints",
        "first": 0,
        "last": 1,
        "passages": 2,
        "next": None,
    }
    assert entered == document | {"id": "endpoints.md#1"}


async def test_long_document_comes_in_parts_without_gap_or_repetition(service: Service) -> None:
    parts = [await called(service, "fetch", {"id": "long.md"})]
    while following := parts[-1]["metadata"]["next"]:
        parts.append(await called(service, "fetch", {"id": following}))

    assert len(parts) > 2
    assert all(len(part["text"]) <= 20_000 for part in parts)
    assert all(len(part["text"]) > 18_000 for part in parts[:-1])
    assert [part["metadata"]["first"] for part in parts[1:]] == [
        part["metadata"]["last"] + 1 for part in parts[:-1]
    ]
    assert parts[0]["metadata"]["first"] == 0
    assert parts[-1]["metadata"]["last"] == parts[-1]["metadata"]["passages"] - 1
    text = "\n\n".join(part["text"] for part in parts)
    assert [text.count(f"zebra{number}.") for number in range(60)] == [1] * 60


async def test_long_document_is_read_from_the_found_passage_on(service: Service) -> None:
    found = await called(service, "search", {"query": "What is zebra41 about?", "top_k": 1})
    part = await called(service, "fetch", {"id": found["results"][0]["id"]})

    assert part["text"].startswith("Part 41 is about zebra41.")
    assert part["metadata"]["headings"] == "A long page > Part 41"
    assert f"long.md#{part['metadata']['first']}" == found["results"][0]["id"]


@pytest.mark.parametrize("id_", ["nowhere.md", "endpoints", "endpoint.md", "#1", " ", "long.md#x"])
async def test_document_that_is_not_there_is_said_with_the_remedy(
    service: Service, id_: str
) -> None:
    told = await refused(service, "fetch", {"id": id_})

    assert told.startswith("The index has no document of that name.")
    assert "search" in told


async def test_passage_beyond_the_end_is_said_with_the_remedy(service: Service) -> None:
    told = await refused(service, "fetch", {"id": "endpoints.md#2"})

    assert told == "endpoints.md has only passages 0 to 1. Fetch endpoints.md for its beginning."


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {}, "query: Field required."),
        ("search", {"query": ""}, "query: is blank"),
        ("search", {"query": " \n"}, "query: is blank"),
        ("search", {"query": "x" * 4001}, "query: has 4,001 characters; at most 4,000 are allowed"),
        ("search", {"query": 7}, "query: Input should be a valid string."),
        ("search", {"query": "a", "top_k": 0}, "top_k: Input should be greater than or equal to 1"),
        ("search", {"query": "a", "top_k": 21}, "top_k: Input should be less than or equal to 20"),
        ("search", {"query": "a", "top_k": "many"}, "top_k: Input should be a valid integer"),
        ("search", {"query": "a", "limit": 3}, "Some arguments are unknown to this tool. It takes"),
        ("fetch", {}, "id: Field required."),
        ("fetch", {"id": ""}, "id: String should have at least 1 character"),
        ("fetch", {"id": "x" * 501}, "id: String should have at most 500 characters"),
        ("ask", {"question": "  "}, "question: is blank"),
        ("ask", {"question": "x" * 4001}, "question: has 4,001 characters"),
    ],
)
async def test_wrong_arguments_are_a_result_that_says_what_is_right(
    service: Service, tool: str, arguments: dict[str, Any], said: str
) -> None:
    told = await refused(service, tool, arguments)

    assert said in told
    assert told.endswith("; fix the arguments and call it again.")
    assert "pydantic" not in told


async def test_query_of_exactly_the_limit_is_read(service: Service) -> None:
    assert await called(service, "search", {"query": "x" * 4000})


async def test_limit_on_questions_is_the_setting(tmp_path: Path) -> None:
    with serve(str(tmp_path / "index"), max_question_characters=20) as service:
        assert "at most 20 are allowed" in await refused(service, "ask", {"question": "x" * 21})
        async with Client(f"{service.url}/mcp") as client:
            ask = (await client.list_tools()).tools[2]

    assert ask.input_schema["properties"]["question"]["maxLength"] == 20


async def test_ask_without_a_key_quotes_the_documentation(service: Service) -> None:
    result = await call(service, "ask", {"question": QUESTION})

    answered = result.structured_content
    assert "KmsKeyId" in answered["answer"]
    assert answered["docs"][0] == "endpoints.md"
    assert answered["generator"] == "extractive"
    assert answered["degraded"] is False
    assert answered["answerable"] is True
    assert text_of(result).startswith(answered["answer"])
    assert f"Documents to read: {', '.join(answered['docs'])}" in text_of(result)


async def test_ask_returns_the_language_model_s_answer_with_its_citations(
    database: str, mistral: MistralServer
) -> None:
    mistral.script(answer("The storage volume is encrypted with `KmsKeyId` [1]. Use `UnicornId`."))
    with serve(database, **with_mistral(mistral)) as service:
        result = await call(service, "ask", {"question": QUESTION})

    answered = result.structured_content
    assert answered["generator"] == "mistral-large-latest"
    assert answered["answer"].startswith("The storage volume is encrypted with `KmsKeyId` [1].")
    (citation,) = answered["citations"]
    assert citation["number"] == 1
    assert citation["document"] == "endpoints.md"
    assert citation["id"].startswith("endpoints.md#")
    assert citation["title"] == "Work with endpoints"
    assert citation["url"].startswith("https://")
    assert "KmsKeyId" in citation["quote"]
    assert answered["unsupported"] == [{"kind": "identifier", "text": "UnicornId"}]
    told = text_of(result)
    assert told.startswith(answered["answer"])
    assert f"[1] Work with endpoints ({citation['id']}) {citation['url']}" in told
    assert f'"{citation["quote"]}"' in told
    assert told.endswith("In none of the passages, so verify before relying on it: `UnicornId`")


async def test_language_model_that_fails_is_no_error(database: str, mistral: MistralServer) -> None:
    mistral.default = failed(401)
    with serve(database, **with_mistral(mistral)) as service:
        result = await call(service, "ask", {"question": QUESTION})

    answered = result.structured_content
    assert answered["generator"] == "extractive"
    assert answered["degraded"] is True
    assert answered["degraded_reason"] in text_of(result)
    assert "KmsKeyId" in answered["answer"]
    assert "SECRET" not in text_of(result)
    assert "test-key" not in text_of(result)


async def test_what_is_not_covered_is_said_and_costs_no_language_model(
    database: str, mistral: MistralServer
) -> None:
    with serve(database, **with_mistral(mistral)) as service:
        answered = await called(service, "ask", {"question": FOREIGN})

    assert answered["answerable"] is False
    assert answered["answer"].startswith("The documentation does not seem to cover this.")
    assert answered["citations"] == []
    assert mistral.requests == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("search", {"query": "a"}), ("fetch", {"id": "a.md"}), ("ask", {"question": "a"})],
)
async def test_missing_index_is_a_result_that_says_what_to_do(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    with serve(str(tmp_path / "index")) as service:
        told = await refused(service, tool, arguments)

    assert told.startswith("There is no index yet. The operator must build the index")
    assert str(tmp_path) not in told
