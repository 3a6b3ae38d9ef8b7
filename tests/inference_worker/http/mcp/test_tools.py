"""The tools at /mcp: schemas, results and errors."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import Tool

from database.reading.reader import Reader
from database.searching.passage import Findings
from inference_worker.http.problems import OVERLOADED
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.replies import answer, failed
from tests.servers.mcp_service import CURRENT, call, called, refused, text_of
from tests.servers.service import FOREIGN, QUESTION, REFUSAL, Service, serve, with_mistral
from utils.errors import OverloadedError

pytestmark = pytest.mark.process


@pytest.fixture
def service(keyless: Service) -> Service:
    return keyless


@pytest.fixture
async def tools(service: Service) -> dict[str, Tool]:
    async with Client(f"{service.url}/mcp", mode=CURRENT) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("name", ["search", "fetch", "ask"])
def test_tool_is_fully_described(tools: dict[str, Tool], name: str) -> None:
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


def test_argument_limits_are_in_the_schemas(tools: dict[str, Tool]) -> None:
    query, top_k = (tools["search"].input_schema["properties"][name] for name in ("query", "top_k"))
    question = tools["ask"].input_schema["properties"]["question"]

    assert (query["minLength"], query["maxLength"]) == (1, 4000)
    assert (question["minLength"], question["maxLength"]) == (1, 4000)
    assert (top_k["minimum"], top_k["maximum"], top_k["default"]) == (1, 20, 8)
    assert tools["fetch"].input_schema["properties"]["id"]["maxLength"] == 500
    assert tools["search"].input_schema["required"] == ["query"]


async def test_search_returns_id_title_url_and_text(service: Service) -> None:
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
    assert first["url"] == "https://docs.test/endpoints.html#encrypt"
    assert "KmsKeyId" in first["text"]
    assert first["score"] >= second["score"]


async def test_search_reports_unanswerable_queries(service: Service) -> None:
    found = await called(service, "search", {"query": FOREIGN})

    assert found["answerable"] is False
    assert found["results"]


async def test_search_returns_eight_passages_by_default(service: Service) -> None:
    assert len((await called(service, "search", {"query": "Part"}))["results"]) == 8


async def test_every_search_result_can_be_fetched(service: Service) -> None:
    found = await called(service, "search", {"query": QUESTION, "top_k": 20})

    for hit in found["results"]:
        document = await called(service, "fetch", {"id": hit["id"]})
        assert document["title"] == hit["title"]
        assert hit["text"].removesuffix("…") in document["text"]


async def test_small_document_is_fetched_whole_from_any_passage(service: Service) -> None:
    result = await call(service, "fetch", {"id": "endpoints.md"})
    entered = await called(service, "fetch", {"id": "endpoints.md#1"})

    document = result.structured_content
    assert json.loads(text_of(result)) == document
    assert document.keys() == {"id", "title", "text", "url", "metadata"}
    assert document["id"] == "endpoints.md"
    assert document["title"] == "Work with endpoints"
    assert document["url"] == "https://docs.test/endpoints.html#endpoints"
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


async def test_long_document_is_fetched_in_contiguous_parts(service: Service) -> None:
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


async def test_long_document_is_fetched_from_the_given_passage(service: Service) -> None:
    found = await called(service, "search", {"query": "What is zebra41 about?", "top_k": 1})
    part = await called(service, "fetch", {"id": found["results"][0]["id"]})

    assert part["text"].startswith("## Part 41\n\nPart 41 is about zebra41.")
    assert part["metadata"]["headings"] == "A long page > Part 41"
    assert f"long.md#{part['metadata']['first']}" == found["results"][0]["id"]


@pytest.mark.parametrize("id_", ["nowhere.md", "endpoints", "endpoint.md", "#1", " ", "long.md#x"])
async def test_unknown_document_is_an_error_with_a_remedy(service: Service, id_: str) -> None:
    message = await refused(service, "fetch", {"id": id_})

    assert message.startswith("The index has no document of that name.")
    assert "search" in message


async def test_passage_beyond_the_end_is_an_error_with_a_remedy(service: Service) -> None:
    message = await refused(service, "fetch", {"id": "endpoints.md#2"})

    assert message == "endpoints.md has only passages 0 to 1. Fetch endpoints.md for its beginning."


@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
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
async def test_invalid_arguments_are_an_error_that_states_the_constraint(
    service: Service, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    message = await refused(service, tool, arguments)

    assert reason in message
    assert message.endswith("; fix the arguments and call it again.")
    assert "pydantic" not in message


async def test_query_of_maximum_length_is_accepted(service: Service) -> None:
    assert await called(service, "search", {"query": "x" * 4000})


async def test_question_length_limit_follows_the_setting(tmp_path: Path) -> None:
    with serve(str(tmp_path / "index"), max_question_characters=20) as service:
        assert "at most 20 are allowed" in await refused(service, "ask", {"question": "x" * 21})
        async with Client(f"{service.url}/mcp") as client:
            ask = (await client.list_tools()).tools[2]

    assert ask.input_schema["properties"]["question"]["maxLength"] == 20


async def test_ask_without_a_key_returns_an_extractive_answer(service: Service) -> None:
    result = await call(service, "ask", {"question": QUESTION})

    answered = result.structured_content
    assert "KmsKeyId" in answered["answer"]
    assert answered["docs"][0] == "endpoints.md"
    assert answered["generator"] == "extractive"
    assert answered["degraded"] is False
    assert answered["answerable"] is True
    assert text_of(result).startswith(answered["answer"])
    assert f"Documents to read: {', '.join(answered['docs'])}" in text_of(result)


async def test_ask_returns_the_llm_answer_with_citations(
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
    message = text_of(result)
    assert message.startswith(answered["answer"])
    assert f"[1] Work with endpoints ({citation['id']}) {citation['url']}" in message
    assert f'"{citation["quote"]}"' in message
    assert message.endswith("In none of the passages, so verify before relying on it: `UnicornId`")


async def test_llm_failure_returns_a_degraded_answer(database: str, mistral: MistralServer) -> None:
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


async def test_unanswerable_question_returns_a_refusal_without_an_llm_call(
    database: str, mistral: MistralServer
) -> None:
    with serve(database, **with_mistral(mistral)) as service:
        answered = await called(service, "ask", {"question": FOREIGN})

    assert answered["answerable"] is False
    assert answered["answer"].startswith(REFUSAL)
    assert answered["citations"] == []
    assert mistral.requests == []


async def test_missing_index_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    calls = {"search": {"query": "a"}, "fetch": {"id": "a.md"}, "ask": {"question": "a"}}
    with serve(str(tmp_path / "index")) as service:
        for tool, arguments in calls.items():
            message = await refused(service, tool, arguments)

            assert message.startswith("There is no index yet. The operator must build the index")
            assert str(tmp_path) not in message


async def test_refusal_of_work_is_an_error_and_counted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> Findings:
        raise OverloadedError("9 calls wait for 4 slots")

    with serve(database) as service:
        service.wait_until_ready()
        monkeypatch.setattr(Reader, "search", refuse)
        message = await refused(service, "search", {"query": "endpoint"})
        metrics = service.http.get("/metrics").text

    assert message.startswith(OVERLOADED.title)
    assert 'docsqa_refusals_total{reason="overloaded"} 1.0' in metrics
