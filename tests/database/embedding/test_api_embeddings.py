"""Embedding APIs: batches, rate limit, retries and errors."""

import logging
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from pydantic import SecretStr
from tenacity import wait_none

from database.embedding.api import embeddings as api_embeddings
from database.embedding.api.api_model import ApiModel
from database.embedding.api.embeddings import REQUEST_BYTES, Pace, in_batches
from database.embedding.models import model_for
from tests.files.pages import DIMENSION, WordEmbeddings
from tests.servers.chat.replies import (
    Reply,
    body,
    cut,
    failed,
    rate_limited,
    rate_limited_until,
    refused_key,
    silence,
)
from tests.servers.embedding import EmbeddingServer
from utils.errors import EmbeddingApiError, ModelError, SettingsError
from utils.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.process

KEY = "a-key-that-nobody-may-see"
PROVIDERS = ["mistralai", "openai", "ollama"]
PACE = Pace(seconds=6, attempt_seconds=1, batch_size=4, rest=0, refused_rest=0)
QUICK = replace(PACE, seconds=1)
"""No time for a second attempt."""

Make = Callable[..., ApiModel]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(KEY) as running:
        yield running


@pytest.fixture
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without backoff; pauses that the server requests are kept."""
    monkeypatch.setattr(api_embeddings, "BACKOFF", wait_none())


def model_at(server: EmbeddingServer, provider: str, pace: Pace = PACE) -> ApiModel:
    return ApiModel(f"{provider}:words", server.address(provider), SecretStr(KEY), pace)


@pytest.fixture(params=PROVIDERS)
def model(request: pytest.FixtureRequest, server: EmbeddingServer) -> Make:
    """Creates a model of each provider at the server."""
    return partial(model_at, server, request.param)


@pytest.fixture
def openai(server: EmbeddingServer) -> Make:
    """Creates a model where the provider does not matter."""
    return partial(model_at, server, "openai")


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)  # type: ignore[arg-type]


def refusal(model: ApiModel, texts: list[str] | None = None) -> str:
    """Return the error of a failing call: one line, without the API's body or the key."""
    with pytest.raises(EmbeddingApiError) as caught:
        model.load_embeddings().embed_documents(texts or ["oak"])
    formatted = "".join(traceback.format_exception(caught.value))
    assert "SECRET" not in formatted
    assert KEY not in formatted
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Requests and responses


def test_texts_are_embedded_in_order_in_batches(server: EmbeddingServer, model: Make) -> None:
    texts = [f"Oak {number} dries" for number in range(10)]

    vectors = model().load_embeddings().embed_documents(texts)

    assert [len(request.texts) for request in server.requests] == [4, 4, 2]
    assert server.texts == texts
    for vector, expected in zip(vectors, WordEmbeddings().embed_documents(texts), strict=True):
        assert vector == pytest.approx(expected, abs=1e-6)
    assert {request.body["model"] for request in server.requests} == {"words"}


def test_key_is_sent_and_no_texts_need_no_request(server: EmbeddingServer, model: Make) -> None:
    assert model().load_embeddings().embed_documents([]) == []
    assert server.requests == []
    model().load_embeddings().embed_query("oak")
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}"]


def test_dimension_is_requested_once(server: EmbeddingServer, model: Make) -> None:
    first, second = model(), model()
    assert first.dimension == second.dimension == DIMENSION
    assert len(server.requests) == 1


def test_batches_are_limited_in_texts_and_bytes() -> None:
    half = "é" * (REQUEST_BYTES // 4)
    assert list(in_batches([half, half, "oak"], 9)) == [[half, half], ["oak"]]
    assert list(in_batches(["oak", 5 * half, "ash"], 9)) == [["oak"], [5 * half], ["ash"]]
    assert list(in_batches(["a", "b", "c"], 2)) == [["a", "b"], ["c"]]
    assert list(in_batches([], 2)) == []


def test_tokens_are_overestimated_and_full_chunks_fill_a_request(openai: Make) -> None:
    counts = {text: ApiModel.count_tokens(text) for text in ("", "a", "abc", "abcd", "éé")}
    assert counts == {"": 0, "a": 1, "abc": 1, "abcd": 2, "éé": 2}
    model = openai(replace(PACE, batch_size=99))
    fitting = model.window(512, 256)
    assert list(map(len, in_batches(["x" * 512 * 3] * (fitting + 1), 99))) == [fitting, 1]
    assert model.window(10**6, 256) == 1


def test_requests_of_a_build_are_rate_limited(server: EmbeddingServer, openai: Make) -> None:
    paced = openai(replace(PACE, requests_per_minute=300, batch_size=1))
    paced.load_embeddings().embed_documents(["oak", "ash", "elm", "yew"])
    gaps = [later.time - earlier.time for earlier, later in pairwise(server.requests)]
    assert min(gaps) >= 0.15, "0.2 s, minus the limiter's clock resolution"


# --- Transient failures


@pytest.mark.usefixtures("_no_backoff")
@pytest.mark.parametrize(
    "failure", [failed(500), failed(503), failed(408), rate_limited(), cut(), body(b"garbage")]
)
def test_transient_failure_is_retried(server: EmbeddingServer, model: Make, failure: Reply) -> None:
    server.script(failure)
    assert len(model().load_embeddings().embed_query("oak")) == DIMENSION
    assert len(server.requests) == 2


@pytest.mark.usefixtures("_no_backoff")
def test_retry_after_seconds_are_honoured(server: EmbeddingServer, model: Make) -> None:
    server.script(rate_limited("1"))
    model().load_embeddings().embed_query("oak")
    first, second = server.requests
    assert second.time - first.time >= 0.95


@pytest.mark.usefixtures("_no_backoff")
def test_retry_after_date_is_honoured(server: EmbeddingServer, model: Make) -> None:
    embeddings = model().load_embeddings()
    date = int(time.time() + 2)
    server.script(rate_limited_until(2))
    embeddings.embed_query("oak")
    assert time.time() >= date - 0.01
    assert len(server.requests) == 2


@pytest.mark.usefixtures("_no_backoff")
def test_only_the_failed_batch_is_retried(server: EmbeddingServer, openai: Make) -> None:
    server.script(Reply(), failed(500))
    openai(replace(PACE, batch_size=1)).load_embeddings().embed_documents(["oak", "ash", "elm"])
    assert server.texts == ["oak", "ash", "ash", "elm"]


def test_retry_after_beyond_the_time_limit_fails_at_once(
    server: EmbeddingServer, openai: Make
) -> None:
    server.script(rate_limited("3600"))
    started = time.monotonic()
    assert "rate limited" in refusal(openai())
    assert time.monotonic() - started < 1
    assert len(server.requests) == 1


def test_retries_end_within_the_time_limit(server: EmbeddingServer, model: Make) -> None:
    server.default = failed(500)
    given = model(replace(PACE, seconds=2.5))
    given.load_embeddings()  # the first import is slow
    started = time.monotonic()
    assert "failed (status 500)" in refusal(given)
    assert time.monotonic() - started < 2.5
    assert len(server.requests) >= 2


def test_hanging_api_times_out(server: EmbeddingServer, model: Make) -> None:
    server.default = silence()
    given = model(replace(PACE, seconds=1.4, attempt_seconds=0.6))
    given.load_embeddings()  # the first import is slow
    started = time.monotonic()
    assert "does not answer" in refusal(given)
    assert time.monotonic() - started < 1.4 + 0.6, "late by an attempt or more"
    assert len(server.requests) <= 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_unreachable_api_is_reported(provider: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = ApiModel(f"{provider}:words", f"http://127.0.0.1:{port}/v1", SecretStr(KEY), QUICK)
    assert "does not answer" in refusal(away)


# --- Permanent failures


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (refused_key(), "EMBEDDING_API_KEY"),
        (failed(403), "EMBEDDING_API_KEY"),
        (failed(404), "EMBEDDING_MODEL_NAME"),
        (failed(400), "status 400"),
        (failed(413), "EMBEDDING_BATCH_SIZE"),
        (failed(307), "status 307"),
    ],
)
def test_refusal_is_not_retried_and_names_the_setting(
    server: EmbeddingServer, model: Make, failure: Reply, reason: str
) -> None:
    server.script(failure)
    line = refusal(model())
    assert reason in line
    assert f"The API of {model().name}" in line
    assert len(server.requests) == 1


@pytest.mark.usefixtures("_no_backoff")
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html>SECRET</html>",
        b"[]",
        b"{}",
        b'{"data": null, "embeddings": null}',
        b'{"data": [], "embeddings": []}',
        b'{"data": [{"embedding": ["SECRET"]}], "embeddings": [["SECRET"]]}',
        b'{"data": [{"embedding": []}], "embeddings": [[]]}',
        b'{"data": [{"embedding": [0, 0]}], "embeddings": [[0, 0]]}',
        b'{"data": [{"embedding": [NaN, 1]}], "embeddings": [[NaN, 1]]}',
        b'{"data": [{"embedding": 5}], "embeddings": [5]}',
        b'{"data": "SECRET", "embeddings": "SECRET"}',
    ],
)
def test_malformed_response_is_retried_once_and_then_reported(
    server: EmbeddingServer, model: Make, garbage: bytes
) -> None:
    server.default = body(garbage)
    assert "EMBEDDING_BASE_URL" in refusal(model())
    assert len(server.requests) == 2


@pytest.mark.usefixtures("_no_backoff")
def test_vectors_are_normalised_and_counted(server: EmbeddingServer, model: Make) -> None:
    """With the formats of all providers in one body."""
    both = b'{"data": [{"embedding": [3.0, 4.0]}], "embeddings": [[3.0, 4.0]], "model": "words"}'
    server.default = body(both)
    assert model().load_embeddings().embed_query("oak") == pytest.approx([0.6, 0.8])
    assert "1 vectors for 2 texts" in refusal(model(), ["oak", "ash"])


@pytest.mark.usefixtures("_no_backoff")
def test_changed_dimension_is_refused(server: EmbeddingServer, model: Make) -> None:
    model().load_embeddings().embed_query("oak")
    server.dimension = 32
    assert "vectors of length 32 after such of 64" in refusal(model())
    server.dimension = 64
    assert model().load_embeddings().embed_query("oak")


def test_response_bodies_and_keys_are_not_logged(
    server: EmbeddingServer, model: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server.script(failed(500), body(b"SECRET"), failed(401))
    with caplog.at_level(logging.INFO):
        refusal(model())
    assert "Trying again in" in caplog.text
    assert "SECRET" not in caplog.text
    assert KEY not in caplog.text
    assert "Traceback" not in caplog.text


# --- Pause after a failure


def test_calls_fail_at_once_during_the_pause_after_a_failure(
    server: EmbeddingServer, openai: Make
) -> None:
    model = openai(replace(QUICK, rest=0.5))
    server.default = failed(500)
    line = refusal(model)
    assert refusal(model) == line
    assert len(server.requests) == 1

    server.default = Reply()
    time.sleep(0.55)

    assert model.load_embeddings().embed_query("oak")


def test_pause_depends_on_the_kind_of_failure(server: EmbeddingServer, openai: Make) -> None:
    model = openai(replace(QUICK, rest=0, refused_rest=60))
    server.script(failed(400), failed(500), failed(401))
    for reason in ("status 400", "status 500", "refused the key", "refused the key"):
        assert reason in refusal(model)
    assert len(server.requests) == 3


def test_retry_after_sets_the_pause(server: EmbeddingServer, openai: Make) -> None:
    model = openai(replace(QUICK, rest=0))
    server.script(rate_limited("30"))
    refusal(model)
    refusal(model)
    assert len(server.requests) == 1


# --- Model names and settings


@pytest.mark.parametrize(
    ("name", "given", "address", "key"),
    [
        ("openai:m", {"embedding_api_key": "e"}, "https://api.openai.com/v1", "e"),
        ("mistralai:m", {"embedding_api_key": "e"}, "https://api.mistral.ai/v1", "e"),
        ("mistralai:m", {"mistral_api_key": "m"}, "https://api.mistral.ai/v1", "m"),
        (
            "mistralai:m",
            {"mistral_api_key": "m", "mistral_base_url": "http://proxy/v1"},
            "http://proxy/v1",
            "m",
        ),
        (
            "mistralai:m",
            {"mistral_api_key": "m", "embedding_api_key": "e", "mistral_base_url": "http://p/v1"},
            "https://api.mistral.ai/v1",
            "e",
        ),
        ("openai:m", {"embedding_base_url": "http://own:1/v1/"}, "http://own:1/v1", None),
        ("ollama:m:latest", {}, "http://127.0.0.1:11434", None),
        ("ollama:m", {"embedding_base_url": "http://own:1"}, "http://own:1", None),
    ],
)
def test_address_and_key_come_from_settings_or_provider_defaults(
    name: str, given: dict[str, str], address: str, key: str | None
) -> None:
    model = model_for(name, settings(**given))
    assert isinstance(model, ApiModel)
    assert model.address == address
    assert (model.key and model.key.get_secret_value()) == key
    assert not key or f"'{key}'" not in repr(model)


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("openai:m", {"mistral_api_key": "m"}, r"^EMBEDDING_API_KEY: .* needs the key"),
        ("mistralai:m", {}, r"^EMBEDDING_API_KEY: .* needs the key"),
        ("openai:m", {"embedding_api_key": "kéy-secret"}, r"^EMBEDDING_API_KEY: .*copy it again"),
        ("cohere:embed", {"embedding_api_key": "e"}, r"^EMBEDDING_MODEL_NAME: .*openai:MODEL"),
        ("openai:", {"embedding_api_key": "e"}, r"^EMBEDDING_MODEL_NAME: .*openai:MODEL"),
        (":m", {"embedding_api_key": "e"}, r"^EMBEDDING_MODEL_NAME: .*openai:MODEL"),
        ("C:\\models", {"embedding_api_key": "e"}, r"^EMBEDDING_MODEL_NAME: .*openai:MODEL"),
    ],
)
def test_invalid_name_or_key_is_refused_without_showing_the_key(
    name: str, given: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        model_for(name, settings(**given))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "missing", "command"),
    [
        ("openai:m", ["langchain_openai"], "pip install langchain-openai"),
        ("ollama:m", ["langchain_ollama"], "pip install langchain-ollama"),
        ("mistralai:m", ["langchain"], "pip install langchain"),
    ],
)
def test_missing_package_is_reported_with_the_install_command(
    name: str, missing: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find(name)
    )
    model = model_for(name, settings(embedding_api_key="missing-package"))
    with pytest.raises(ModelError, match=f"{command}$"):
        model.load_embeddings(cache=PROJECT_ROOT)


def test_revision_depends_on_the_model_but_not_on_the_servers_address() -> None:
    def revision(name: str, **given: str) -> str:
        return ApiModel.from_settings(
            name, settings(embedding_api_key="e", **given), building=False
        ).revision

    official = revision("openai:m")
    own = revision("openai:m", embedding_base_url="http://one/v1")
    assert len({official, own, revision("openai:n"), revision("mistralai:m")}) == 4
    assert own == revision("openai:m", embedding_base_url="http://two/v1")
    assert revision("ollama:m") == revision("ollama:m", embedding_base_url="http://one")
    assert "one" not in own


def test_builds_retry_longer_and_are_rate_limited_unlike_questions() -> None:
    given = settings(
        embedding_api_key="e",
        embedding_timeout=3,
        embedding_batch_size=7,
        embedding_requests_per_minute=11,
    )
    build = ApiModel.from_settings("openai:m", given, building=True).pace
    question = ApiModel.from_settings("openai:m", given, building=False).pace
    assert (build.requests_per_minute, build.batch_size) == (11, 7)
    assert build.seconds >= 300
    assert (question.requests_per_minute, question.seconds) == (None, 3)
    assert 2 * question.attempt_seconds <= question.seconds


def test_preparing_an_api_model_sends_no_request(server: EmbeddingServer, openai: Make) -> None:
    openai().prepare(device="auto", backend="auto", cache=PROJECT_ROOT / "nowhere")
    assert server.requests == []


def test_mistral_client_downloads_no_tokenizer(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokenizers import Tokenizer

    def download(name: str) -> Tokenizer:
        raise AssertionError(name)

    monkeypatch.setattr(Tokenizer, "from_pretrained", download, raising=False)
    vector = model_at(server, "mistralai", QUICK).load_embeddings().embed_query("oak " * 4000)
    assert sum(value * value for value in vector) == pytest.approx(1)
    assert len(server.requests) == 1
    assert "langchain_mistralai" in sys.modules
