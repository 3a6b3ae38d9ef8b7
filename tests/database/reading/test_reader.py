"""A reader follows the live index, and reports why there is none."""

import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import chromadb
import pytest
from chromadb.errors import InternalError
from langchain_core.embeddings import Embeddings

from database.index.fingerprint import Fingerprint
from database.index.store import open_store
from database.reading.index_embeddings import embeddings_for
from database.reading.reader import Reader
from tests.database.made_indexes import damage
from tests.files.pages import PAGES, WordEmbeddings, builder, recipe, write_pages
from tests.servers.chroma import ChromaServer
from tests.servers.gateway import gateway_server
from utils.errors import (
    DocsQAError,
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    StoreUnreachableError,
)
from utils.settings import Settings

pytestmark = pytest.mark.process

QUESTION = "Set KmsKeyId in the endpoint configuration"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "pages")


@pytest.fixture
def embedded(tmp_path: Path, folder: Path) -> str:
    """An embedded index over the pages."""
    place = str(tmp_path / "index")
    build(place, folder)
    return place


def build(database: str, folder: Path) -> None:
    with closing(open_store(database, create=True)) as store:
        builder(store).build(folder)


Open = Callable[..., Reader]


@pytest.fixture
def reader_of() -> Iterator[Open]:
    """Creates readers of a database address or folder, and closes them."""
    with ExitStack() as stack:

        def make(database: str, **options: Any) -> Reader:
            store = partial(open_store, database, timeout=2, **options)
            reader = Reader(store, lambda fingerprint: WordEmbeddings(), "the store")
            stack.callback(reader.close)
            return reader

        yield make


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes readers search Chroma's graph, as for an index with too many chunks to compare each."""
    monkeypatch.setattr("database.reading.read_corpus.MAX_EXACT_CHUNKS", 0)


@pytest.fixture
def failing_queries(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the next queries fail as they do if rows are deleted during a query."""
    query = chromadb.Collection.query

    def fail(times: int) -> None:
        left = iter(range(times))

        def failing(collection: chromadb.Collection, **asked: Any) -> Any:
            if next(left, None) is not None:
                raise InternalError("Error finding id")
            return query(collection, **asked)

        monkeypatch.setattr(chromadb.Collection, "query", failing)

    return fail


@pytest.fixture
def served(chroma_server: ChromaServer, folder: Path) -> ChromaServer:
    build(chroma_server.url, folder)
    return chroma_server


def test_best_passage_comes_first_with_all_stored_fields(embedded: str, reader_of: Open) -> None:
    passages = reader_of(embedded).search(QUESTION, 100).passages

    scores = [passage.score for passage in passages]
    assert scores == sorted(scores, reverse=True)
    assert (passages[0].dense_rank, passages[0].lexical_rank) == (1, 1)
    best = passages[0].chunk
    assert best.document == "endpoints.md"
    assert best.title == "Work with endpoints"
    assert best.headings == ("Encrypt an endpoint",)
    assert best.anchor == "encrypt"
    assert "KmsKeyId" in best.text
    # More passages were requested than exist: all are found.
    text = "\n".join(passage.text for passage in passages)
    for piece in ("endpoint serves", "`KmsKeyId`", "job reads", "spot training", "runs Jupyter"):
        assert piece in text


def test_cosines_are_those_of_the_indexs_embeddings(embedded: str, reader_of: Open) -> None:
    texts = [QUESTION, "Birds sing", "Set KmsKeyId"]
    same, other, partly = reader_of(embedded).cosines(QUESTION, texts)
    assert same == pytest.approx(1.0)
    assert other < partly < same


def test_reader_follows_a_new_index_without_reopening(
    embedded: str, folder: Path, reader_of: Open
) -> None:
    reader = reader_of(embedded)
    assert reader.documents() == PAGES.keys() - {"index.md"}
    (folder / "new.md").write_text("# New page\n\nSomething new.\n")

    build(embedded, folder)
    reader.refresh()

    assert reader.search("Something new", 1).passages[0].chunk.document == "new.md"
    assert "new.md" in reader.documents()


@pytest.mark.usefixtures("graph")
def test_reader_recovers_if_its_collection_was_deleted(
    served: ChromaServer, folder: Path, reader_of: Open
) -> None:
    reader = reader_of(served.url)
    reader.search(QUESTION, 1)
    for word in ("one", "two"):  # the second build deletes the reader's collection
        (folder / "new.md").write_text(f"# New page\n\nSomething {word}.\n")
        build(served.url, folder)

    assert reader.search("Something two", 1).passages[0].chunk.text == "Something two."


def test_model_is_not_reloaded_if_only_the_chunks_change(embedded: str, folder: Path) -> None:
    loaded: list[str] = []

    def load(fingerprint: Fingerprint) -> Embeddings:
        loaded.append(fingerprint.recipe.model_revision)
        return WordEmbeddings()

    with closing(open_store(embedded)) as store:
        reader = Reader(lambda: store, load, embedded)
        reader.refresh()
        first = loaded[0]
        builder(store, chunk_size=40).build(folder)
        reader.refresh()
        assert loaded == [first]
        builder(store, chunk_size=40, max_tokens=128).build(folder)
        reader.refresh()
        assert loaded == [first] * 2
        builder(store, model_revision="another").build(folder)
        reader.refresh()

    assert loaded == [first, first, "another"]


@pytest.mark.usefixtures("graph")
def test_search_is_retried_once_after_an_internal_error(
    served: ChromaServer, reader_of: Open, failing_queries: Callable[[int], None]
) -> None:
    reader = reader_of(served.url)
    before = reader.search(QUESTION, 3)

    failing_queries(1)
    assert reader.search(QUESTION, 3) == before

    failing_queries(2)
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        reader.search(QUESTION, 3)


@pytest.mark.usefixtures("graph")
def test_opening_is_retried_after_an_internal_error(
    served: ChromaServer, reader_of: Open, failing_queries: Callable[[int], None]
) -> None:
    failing_queries(1)
    reader = reader_of(served.url)

    reader.refresh()

    assert reader.problem is None


def test_index_in_memory_is_searched_while_its_store_is_away_or_its_collection_is_deleted(
    served: ChromaServer, folder: Path, reader_of: Open
) -> None:
    reader = reader_of(served.url)
    before = reader.search(QUESTION, 5)
    for word in ("one", "two"):  # the second build deletes the reader's collection
        (folder / "new.md").write_text(f"# New page\n\nSomething {word}.\n")
        build(served.url, folder)
    assert reader.search(QUESTION, 5) == before

    served.kill()
    with pytest.raises(StoreUnreachableError, match="No Chroma server answers"):
        reader.refresh()
    assert reader.search(QUESTION, 5) == before
    served.start()
    reader.refresh()

    assert reader.search("Something two", 1).passages[0].chunk.text == "Something two."


@pytest.mark.usefixtures("graph")
def test_each_call_raises_a_new_exception(served: ChromaServer, reader_of: Open) -> None:
    """An exception that is raised repeatedly collects traceback entries."""
    reader = reader_of(served.url)
    reader.refresh()
    served.kill()
    with pytest.raises(StoreUnreachableError) as refreshed:
        reader.refresh()
    cause = refreshed.value.__cause__

    def raised() -> StoreUnreachableError:
        with pytest.raises(StoreUnreachableError, match="No Chroma server answers") as caught:
            reader.search(QUESTION, 1)
        return caught.value

    first, later = raised(), [raised() for _ in range(20)][-1]

    assert len({id(first), id(later), id(refreshed.value)}) == 3
    assert str(first) == str(later) == str(refreshed.value)
    assert first.__cause__ is later.__cause__ is cause is not None
    assert len(traceback.extract_tb(first.__traceback__)) == len(
        traceback.extract_tb(later.__traceback__)
    )


def test_words_are_loaded_with_the_index(
    served: ChromaServer, folder: Path, reader_of: Open, caplog: pytest.LogCaptureFixture
) -> None:
    reader = reader_of(served.url)
    related = reader.refresh().corpus.related
    assert related is not None
    assert len(related) == 0
    for name in "abcde":
        (folder / f"{name}.md").write_text(f"# Kilns\n\nKilns of kind {name}.\n")

    build(served.url, folder)

    grown = reader.refresh().corpus.related
    assert grown is not None
    assert len(grown) == 2
    assert "without word vectors" not in caplog.text


@pytest.mark.parametrize(
    ("harm", "error", "complaint"),
    [
        (shutil.rmtree, IndexMissingError, r"No index at .* Build it"),
        (damage, IndexDamagedError, "Build it again"),
    ],
)
def test_missing_or_damaged_index_is_reported_and_found_once_built(
    harm: Callable[[Path], None],
    error: type[DocsQAError],
    complaint: str,
    embedded: str,
    folder: Path,
    reader_of: Open,
) -> None:
    harm(Path(embedded))
    reader = reader_of(embedded)
    with pytest.raises(error, match=complaint):
        reader.search(QUESTION, 1)

    build(embedded, folder)
    reader.refresh()

    assert reader.search(QUESTION, 1).passages


@pytest.mark.usefixtures("graph")
def test_server_down_at_start_or_later_is_reported_and_reader_recovers(
    served: ChromaServer, reader_of: Open
) -> None:
    served.kill()
    reader = reader_of(served.url)
    with pytest.raises(StoreUnreachableError, match="No Chroma server answers"):
        reader.search(QUESTION, 5)
    served.start()
    reader.refresh()
    before = reader.search(QUESTION, 5)
    assert before.passages

    served.kill()
    with pytest.raises(StoreUnreachableError):
        reader.search(QUESTION, 5)
    with pytest.raises(StoreUnreachableError):
        reader.refresh()
    served.start()
    reader.refresh()

    assert reader.search(QUESTION, 5) == before


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (HTTPStatus.BAD_GATEWAY, "No Chroma server answers"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "No Chroma server answers"),
        (HTTPStatus.GATEWAY_TIMEOUT, "No Chroma server answers"),
        (HTTPStatus.TOO_MANY_REQUESTS, "No Chroma server answers"),
        (HTTPStatus.UNAUTHORIZED, "refused the CHROMA_TOKEN"),
        (HTTPStatus.FORBIDDEN, "refused the CHROMA_TOKEN"),
    ],
)
@pytest.mark.usefixtures("graph")
def test_refusing_gateway_is_reported_and_reader_recovers(
    served: ChromaServer, reader_of: Open, status: HTTPStatus, reason: str
) -> None:
    with gateway_server(served.url) as gateway:
        reader = reader_of(gateway.url)
        before = reader.search(QUESTION, 5)

        gateway.refusal = status
        with pytest.raises(StoreUnreachableError, match=reason):
            reader.search(QUESTION, 5)
        with pytest.raises(StoreUnreachableError, match=reason):
            reader.refresh()
        with pytest.raises(StoreUnreachableError, match=reason):
            reader_of(gateway.url).refresh()
        gateway.refusal = None
        reader.refresh()

        assert reader.search(QUESTION, 5) == before
        reader.close()


def test_renewed_token_is_used(served: ChromaServer, reader_of: Open) -> None:
    known = "the-first-token"
    with gateway_server(served.url) as gateway:
        gateway.token = known
        reader = reader_of(gateway.url, token="the-first-token", renew_token=lambda: known)
        before = reader.search(QUESTION, 5)

        gateway.token = "the-second-token"
        for _ in range(2):
            with pytest.raises(StoreUnreachableError, match="refused the CHROMA_TOKEN"):
                reader.refresh()
        known = "the-second-token"
        with pytest.raises(StoreUnreachableError, match="refused the CHROMA_TOKEN"):
            reader.refresh()
        reader.refresh()

        assert reader.search(QUESTION, 5) == before
        reader.close()


def test_pointer_to_a_missing_collection_is_a_damaged_index(
    served: ChromaServer, reader_of: Open
) -> None:
    with closing(open_store(served.url)) as store:
        store.delete(store.live_collection()[0].name)

    with pytest.raises(IndexDamagedError, match="incomplete"):
        reader_of(served.url).refresh()


@pytest.mark.model
def test_model_mismatch_is_reported_with_a_remedy(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        database=str(tmp_path),
        embedding_model_name="sentence-transformers/all-MiniLM-L6-v2",
    )
    built_with = Fingerprint(recipe(embedding_model="tests/words"), "", 3, 5, "")

    with pytest.raises(IndexMismatchError) as caught:
        embeddings_for(built_with, settings)

    for piece in (
        "tests/words",
        "model_revision",
        "make index MODEL=sentence-transformers/all-MiniLM-L6-v2",
    ):
        assert piece in str(caught.value)
