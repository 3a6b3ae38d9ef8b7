"""An index built and searched with an embedding API: its requests, and its failures."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from database.building.build import make_builder
from database.building.report import BuildReport
from database.embedding.models import model_for
from database.index.store import open_store
from database.reading.reader import reader_from
from inference_worker.app import create_app
from tests.files.pages import many_pages, write_pages
from tests.servers.chat.replies import Reply, failed, silence
from tests.servers.chroma import ChromaServer
from tests.servers.embedding import EmbeddingServer
from tests.servers.service import Service, until
from utils.errors import EmbeddingApiError, IndexMismatchError
from utils.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.process

KEY = "a-key-that-nobody-may-see"
QUESTION = "Set KmsKeyId in the endpoint configuration"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(KEY) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "pages")


@pytest.fixture
def database(chroma_server: ChromaServer) -> str:
    """On a server: an embedded index needs another process per build and reader."""
    return chroma_server.url


def settings(server: EmbeddingServer, database: str, name: str, **given: Any) -> Settings:
    fields: dict[str, Any] = {
        "database": database,
        "embedding_model_name": name,
        "embedding_api_key": KEY,
        "embedding_base_url": server.address(name.partition(":")[0]),
        "embedding_requests_per_minute": 60_000,
        "embedding_timeout": 2,
    }
    return Settings(_env_file=None, **(fields | given))


def build(chosen: Settings, folder: Path, **given: Any) -> BuildReport:
    assert chosen.embedding_model_name
    model = model_for(chosen.embedding_model_name, chosen, building=True)
    with closing(open_store(chosen.database, create=True)) as store:
        made = make_builder(model, store, cache=folder / "none", skipped=pytest.fail, **given)
        return made.build(folder)


@pytest.mark.parametrize("provider", ["mistralai", "openai", "ollama"])
def test_index_is_built_and_searched_by_api(
    server: EmbeddingServer, folder: Path, database: str, provider: str
) -> None:
    chosen = settings(server, database, f"{provider}:words")
    report = build(chosen, folder)
    reader = reader_from(chosen)

    passages = reader.search(QUESTION, 3).passages

    assert report.chunks == report.embedded == 5
    assert (passages[0].chunk.document, passages[0].dense_rank) == ("endpoints.md", 1)
    assert reader.state is not None
    recipe = reader.state.fingerprint.recipe
    assert recipe.embedding_model == f"{provider}:words"
    assert recipe.model_revision.startswith(f"api {provider}:words")
    assert (recipe.dimension, recipe.pooling, recipe.max_tokens) == (64, "api", 512)
    reader.close()


def test_reader_without_a_configured_model_uses_the_indexs(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    build(settings(server, database, "openai:words"), folder)
    reader = reader_from(settings(server, database, "openai:words", embedding_model_name=None))
    assert reader.search(QUESTION, 1).passages[0].chunk.document == "endpoints.md"
    reader.close()


def test_build_without_changes_requests_only_the_dimension(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    chosen = settings(server, database, "openai:words")
    build(chosen, folder)
    # Another pace, so that the dimension cached by this process is not used.
    again = settings(server, database, "openai:words", embedding_requests_per_minute=50_000)
    before = len(server.requests)

    assert build(again, folder).embedded == 0

    assert [request.texts for request in server.requests[before:]] == [["dimension"]]


def test_build_interrupted_by_the_api_resumes_and_embeds_no_text_twice(
    server: EmbeddingServer, tmp_path: Path, database: str
) -> None:
    pages = write_pages(tmp_path / "many", many_pages(30))
    chosen = settings(server, database, "openai:words", embedding_batch_size=16)
    server.script(*[Reply()] * 7, failed(400))
    with pytest.raises(EmbeddingApiError, match="status 400"):
        build(chosen, pages)
    answered = Counter(server.texts[: -len(server.requests[-1].texts)])

    report = build(chosen, pages)

    assert sum(answered.values()) == 1 + 6 * 16
    refused = server.requests[7].texts
    assert report.embedded == 30 * 8 - 6 * 16
    assert all(count == 1 + (text in refused) for text, count in Counter(server.texts).items())


def test_build_killed_during_a_request_repeats_at_most_that_one(
    server: EmbeddingServer, tmp_path: Path
) -> None:
    pages = write_pages(tmp_path / "many", many_pages(60))
    command = [
        *(sys.executable, str(PROJECT_ROOT / "utils" / "db_builder.py")),
        *("-d", str(pages), "-db", str(tmp_path / "index"), "-m", "mistralai:words"),
    ]
    environment = {
        "PATH": "",
        "MISTRAL_API_KEY": KEY,
        "EMBEDDING_BASE_URL": server.address("mistralai"),
        "EMBEDDING_REQUESTS_PER_MINUTE": "60000",
    }
    server.default = Reply(delay=0.1)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while len(server.requests) < 12:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    server.default = Reply()
    before = len(server.requests)

    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    twice = [text for text, count in Counter(server.texts).items() if count > 1]
    largest = max(len(request.texts) for request in server.requests)
    assert "dimension" in twice
    assert len(twice) - 1 <= 2 * largest, "more than the request in flight and one not yet stored"
    assert len(server.requests) > before
    assert "480 chunks" in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_words_of_the_index_need_one_request_per_batch(
    server: EmbeddingServer, tmp_path: Path, database: str
) -> None:
    words = [f"{a}{b}{c}tle" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]
    pages = {f"{n}.md": f"# Page {n}\n\n{' '.join(words)}\n" for n in range(5)}
    write_pages(tmp_path / "words", pages)

    build(settings(server, database, "ollama:words", embedding_batch_size=50), tmp_path / "words")

    dimension, chunks, *rest = [len(request.texts) for request in server.requests]
    assert (dimension, chunks) == (1, 5)
    assert sum(rest) == 101
    assert rest == [50, 50, 1]


def test_question_needs_one_request_and_its_unknown_words_another(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    for name in "abcde":
        (folder / f"{name}.md").write_text(f"# Kilns\n\nKilns of kind {name}.\n")
    chosen = settings(server, database, "openai:words")
    build(chosen, folder)
    reader = reader_from(chosen)
    reader.refresh()
    before = len(server.requests)

    reader.search("Which gadget and widget fits a kiln", 1)
    reader.search("Which gadget and widget fits a kiln", 1)

    embedded = [request.texts for request in server.requests[before:]]
    assert embedded == [
        ["gadget", "widget", "fits"],
        ["Which gadget and widget fits a kiln"],
        ["Which gadget and widget fits a kiln"],
    ]
    reader.close()


def test_other_model_or_dimension_is_a_mismatch(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    build(settings(server, database, "openai:words"), folder)

    def mismatch(chosen: Settings) -> str:
        reader = reader_from(chosen)
        with pytest.raises(IndexMismatchError) as caught:
            reader.refresh()
        reader.close()
        return str(caught.value)

    before = len(server.requests)
    assert "api openai:other elsewhere here" in mismatch(settings(server, database, "openai:other"))
    assert len(server.requests) == before, "a request for what the model's name already tells"
    server.dimension = 32
    message = mismatch(settings(server, database, "openai:words", embedding_timeout=3))
    assert "dimension is 64 there and 32 here" in message
    assert "set EMBEDDING_MODEL_NAME=openai:words and EMBEDDING_BASE_URL" in message


def test_failing_api_gives_503_with_a_remedy_and_the_service_recovers(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    chosen = settings(server, database, "openai:words", embedding_timeout=1)
    build(chosen, folder)
    with Service(create_app(chosen)) as service:

        def ask() -> httpx.Response:
            return service.http.post("/inference_endpoint", params={"message": QUESTION})

        service.wait_until_ready()
        for failure in (failed(500), silence(), Reply(body=b"SECRET")):
            server.default = failure
            response = ask()
            assert response.status_code == 503
            assert response.json()["type"].endswith(":embedding-api-unavailable")
            assert "recovers by itself" in response.json()["detail"]
            assert response.headers["retry-after"]
            assert "SECRET" not in response.text

        server.default = Reply()

        until(lambda: ask().status_code == 200, within=15)
        assert ask().json()["docs"][0] == "endpoints.md"


def test_service_started_without_the_api_becomes_ready_once_it_is_back(
    server: EmbeddingServer, folder: Path, database: str
) -> None:
    build(settings(server, database, "ollama:words"), folder)
    server.default = failed(503)
    chosen = settings(server, database, "ollama:words", embedding_timeout=1)
    with Service(create_app(chosen)) as service:

        def readiness() -> dict[str, Any]:
            found: dict[str, Any] = service.http.get("/readyz").json()
            return found

        until(lambda: "API" in readiness()["checks"]["model"]["detail"], within=15)
        response = service.http.post("/inference_endpoint", params={"message": QUESTION})
        assert response.status_code == 503
        assert response.json()["type"].endswith(":embedding-api-unavailable")
        before = len(server.requests)
        time.sleep(2)
        assert len(server.requests) - before <= 4, "a failing API was requested too often"

        server.default = Reply()

        service.wait_until_ready()
        assert readiness()["index"]["embedding_model"] == "ollama:words"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"EMBEDDING_API_KEY": "wrong"}, "refused the key. Set EMBEDDING_API_KEY"),
        ({"EMBEDDING_BASE_URL": ""}, "EMBEDDING_API_KEY: openai:words needs the key"),
        ({"EMBEDDING_BASE_URL": "nowhere"}, "EMBEDDING_BASE_URL: must be"),
        ({"EMBEDDING_MODEL_NAME": "cohere:words"}, "EMBEDDING_MODEL_NAME: 'cohere:words'"),
    ],
)
def test_builder_reports_errors_in_one_line(
    server: EmbeddingServer, folder: Path, tmp_path: Path, given: dict[str, str], said: str
) -> None:
    environment = {
        "PATH": "",
        "EMBEDDING_MODEL_NAME": "openai:words",
        "EMBEDDING_BASE_URL": server.address("openai"),
    }
    failed_build = subprocess.run(
        [*(sys.executable, "-m", "utils.db_builder"), "-d", folder, "-db", tmp_path / "index"],
        cwd=PROJECT_ROOT,
        env=environment | given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert failed_build.returncode == 1
    assert said in failed_build.stderr
    assert len(failed_build.stderr.strip().splitlines()) == 1, failed_build.stderr
    assert "wrong" not in failed_build.stderr


def test_opening_a_reader_sends_no_request(server: EmbeddingServer, database: str) -> None:
    reader = reader_from(settings(server, database, "openai:words"))
    assert server.requests == []
    reader.close()
