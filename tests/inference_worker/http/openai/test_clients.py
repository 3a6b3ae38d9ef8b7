"""The OpenAI and LangChain clients work against this service as their base URL."""

from collections.abc import Iterator

import httpx
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai import APIError, BadRequestError, InternalServerError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionUserMessageParam

from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.service import QUESTION, CrashingModel, Service, serve, with_mistral

pytestmark = pytest.mark.process

MODEL = "sagemaker-docs"
URL = "https://docs.test/endpoints.html#encrypt"
TEXT = "Set `KmsKeyId` in the endpoint configuration [1]."
ASKED: ChatCompletionUserMessageParam = {"role": "user", "content": QUESTION}
LINK = f"\n\nSources:\n- [1] [Work with endpoints > Encrypt an endpoint]({URL})"


@pytest.fixture(scope="module")
def mistral() -> Iterator[MistralServer]:
    with MistralServer() as server:
        server.default = replies.answer(TEXT)
        yield server


@pytest.fixture(scope="module", params=["written", "quoted"])
def service(
    request: pytest.FixtureRequest, database: str, mistral: MistralServer
) -> Iterator[Service]:
    """The service with a language model, then without one."""
    with serve(database, **(with_mistral(mistral) if request.param == "written" else {})) as one:
        yield one


@pytest.fixture
def client(service: Service) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key="any", max_retries=0) as one:
        yield one


@pytest.fixture
def langchain(service: Service) -> Iterator[ChatOpenAI]:
    with httpx.Client() as http:
        yield ChatOpenAI(model=MODEL, base_url=f"{service.url}/v1", api_key="any", http_client=http)


def content_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def assert_is_answer(content: str | None) -> None:
    assert content
    assert "KmsKeyId" in content
    assert content.endswith(LINK) or f"[1] Work with endpoints: {URL}\n\n(Quoted" in content


def test_openai_client_creates_a_completion(client: OpenAI) -> None:
    found = client.chat.completions.create(model=MODEL, messages=[ASKED], temperature=0.3)

    message = found.choices[0].message
    assert_is_answer(message.content)
    assert message.annotations
    assert {each.url_citation.url for each in message.annotations} == {URL}
    assert found.usage
    assert found.model_extra
    assert found.model_extra["sagemaker_docs"]["docs"][0] == "endpoints.md"


@pytest.mark.parametrize("usage", [True, False])
def test_openai_client_streams(client: OpenAI, usage: bool) -> None:
    with client.chat.completions.create(
        model=MODEL, messages=[ASKED], stream=True, stream_options={"include_usage": usage}
    ) as stream:
        chunks = list(stream)

    assert_is_answer(content_of(chunks))
    assert (chunks[-1].usage is not None) is usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_openai_stream_helper_assembles_the_completion(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=[ASKED]) as stream:
        message = stream.get_final_completion().choices[0].message

    assert_is_answer(message.content)
    assert message.role == "assistant"
    assert message.annotations
    assert {each.url_citation.url for each in message.annotations} == {URL}


def test_openai_client_lists_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_openai_client_raises_its_own_error_classes(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="ask a question"):
        client.chat.completions.create(
            model=MODEL, messages=[{"role": "system", "content": "Be brief."}]
        )
    with pytest.raises(NotFoundError) as unknown:
        client.chat.completions.create(model="another", messages=[ASKED])
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")


def test_openai_client_raises_without_an_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = str(tmp_path_factory.mktemp("nowhere") / "index")
    with (
        serve(nowhere) as running,
        OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as client,
        pytest.raises(InternalServerError) as missing,
    ):
        client.chat.completions.create(model=MODEL, messages=[ASKED], stream=True)
    assert missing.value.status_code == 503
    assert missing.value.code == "index_missing"


def test_openai_client_raises_if_a_stream_fails(database: str) -> None:
    with (
        serve(database, llm=CrashingModel()) as running,
        OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as client,
        client.chat.completions.create(model=MODEL, messages=[ASKED], stream=True) as stream,
        pytest.raises(APIError, match="Try again"),
    ):
        list(stream)


def test_langchain_client_invokes_and_streams(langchain: ChatOpenAI) -> None:
    asked = [SystemMessage("Speak like a pirate."), HumanMessage(QUESTION)]

    whole = langchain.invoke(asked)
    pieces = list(langchain.stream(asked))

    assert isinstance(whole, AIMessage)
    assert_is_answer(str(whole.text))
    assert whole.usage_metadata
    together = sum(pieces[1:], start=pieces[0])
    assert isinstance(together, AIMessageChunk)
    assert str(together.text) == str(whole.text)
    assert together.response_metadata["finish_reason"] == "stop"


def test_langchain_client_sends_a_conversation(langchain: ChatOpenAI) -> None:
    talk = [HumanMessage(QUESTION)]

    found = langchain.invoke(
        [*talk, AIMessage(langchain.invoke(talk).content), HumanMessage("Why?")]
    )

    assert "KmsKeyId" in str(found.text)


async def test_langchain_client_invokes_asynchronously(service: Service) -> None:
    async with httpx.AsyncClient() as http:
        langchain = ChatOpenAI(
            model="gpt-4o",
            base_url=f"{service.url}/v1",
            api_key="any",
            http_async_client=http,
            stream_usage=True,
        )
        whole = await langchain.ainvoke(QUESTION)
        pieces = [str(piece.text) async for piece in langchain.astream(QUESTION)]

    assert_is_answer(str(whole.text))
    assert "".join(pieces) == str(whole.text)
