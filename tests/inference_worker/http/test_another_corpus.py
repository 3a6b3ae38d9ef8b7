"""A service over other documents than the default ones names these, and not SageMaker."""

import json
from collections.abc import Iterator

import httpx_sse
import pytest
from mcp import Client

from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.service import FOREIGN, QUESTION, Service, serve, with_mistral

pytestmark = pytest.mark.process

PRODUCT, CORPUS, ALIAS = "Kiln K-900", "the K-900 manual, 2nd edition", "acme/kiln-docs:2"


@pytest.fixture
def service(database: str, mistral: MistralServer) -> Iterator[Service]:
    subject = {"product_name": PRODUCT, "corpus_description": CORPUS, "model_alias": ALIAS}
    with serve(database, **with_mistral(mistral), **subject) as running:
        yield running


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_mcp_server_and_tools_name_the_corpus(service: Service, mode: str) -> None:
    async with Client(f"{service.url}/mcp", mode=mode) as client:
        server, instructions = client.server_info, client.instructions
        tools = (await client.list_tools()).tools

    assert server is not None
    assert instructions is not None
    assert f"The index contains {CORPUS}," in instructions
    texts = [
        f"{server.name} {server.title} {server.description}",
        instructions,
        *(f"{tool.title} {tool.description}" for tool in tools),
    ]
    assert all(PRODUCT in text and CORPUS in text for text in texts)
    assert "sagemaker" not in f"{server} {instructions} {tools}".lower()


def test_prompt_names_the_corpus(service: Service, mistral: MistralServer) -> None:
    service.http.post("/v1/answers", json={"question": QUESTION})

    (request,) = mistral.requests
    instructions = str(request.body["messages"][0]["content"])
    assert f"about {PRODUCT} from passages of {CORPUS}." in instructions
    assert "sagemaker" not in json.dumps(request.body).lower()


@pytest.mark.parametrize("question", [QUESTION, FOREIGN])
def test_refusal_names_the_corpus_and_the_nearest_pages(
    service: Service, mistral: MistralServer, question: str
) -> None:
    mistral.default = replies.answer("COVERAGE: none")
    body = service.http.post("/v1/answers", json={"question": question}).json()

    assert body["answer"].startswith(
        f"Nothing in {CORPUS} seems to answer this. The nearest pages are "
    )
    assert body["passages"][0]["title"] in body["answer"]
    assert (body["answerable"], body["unsupported"]) == (False, [])


def test_openapi_title_and_description_name_the_corpus(service: Service) -> None:
    info = service.http.get("/openapi.json").json()["info"]

    assert info["title"] == f"Ask about {PRODUCT}"
    assert CORPUS in info["description"]
    assert "sagemaker" not in str(info).lower()
    assert f"<title>Ask about {PRODUCT}" in service.http.get("/docs").text


def test_model_is_listed_and_answers_under_its_alias_only(service: Service) -> None:
    http = service.http
    messages = [{"role": "user", "content": QUESTION}]

    listed = http.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == [ALIAS]
    assert "sagemaker" not in str(listed)
    assert http.get(f"/v1/models/{ALIAS}").json() == listed[0]
    for named in ({"model": ALIAS}, {"model": "gpt-4o"}, {}):
        answered = http.post("/v1/chat/completions", json=named | {"messages": messages})
        assert answered.json()["model"] == ALIAS
    stream = {"model": ALIAS, "messages": messages, "stream": True}
    with httpx_sse.connect_sse(http, "POST", "/v1/chat/completions", json=stream) as source:
        *chunks, _ = [event.data for event in source.iter_sse()]
    assert {json.loads(chunk)["model"] for chunk in chunks} == {ALIAS}

    old = {"model": "sagemaker-docs", "messages": messages}
    posted = http.post("/v1/chat/completions", json=old)
    for refused in (posted, http.get("/v1/models/sagemaker-docs")):
        assert refused.status_code == 404
        assert f"use '{ALIAS}'" in refused.json()["error"]["message"]
