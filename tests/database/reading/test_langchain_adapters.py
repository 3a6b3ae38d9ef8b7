"""The live index in LangChain: as a retriever in a chain, and as a vector store."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.language_models import ParrotFakeChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableParallel, RunnablePassthrough

from database.building.build import make_builder
from database.embedding.local_model import LocalModel
from database.index.store import open_store
from database.reading.langchain_adapters import as_retriever, vector_store
from database.reading.reader import Reader
from database.searching.filters import Filters
from tests.database.served_index import served_index
from tests.files.pages import WordEmbeddings, write_pages
from utils.errors import IndexMissingError
from utils.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.process

QUESTION = "Set KmsKeyId in the endpoint configuration"
PROMPT = ChatPromptTemplate.from_template("{passages}\n\n{question}")
RUNS = 2


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader of a small index on a server."""
    with (
        served_index(tmp_path_factory.mktemp("served")) as url,
        closing(Reader(lambda: open_store(url), lambda _: WordEmbeddings(), "the store")) as made,
    ):
        yield made


def answered_by(retriever: Runnable[str, list[Document]]) -> str:
    """The answer of a chain of retriever, prompt and a model that repeats its prompt."""
    passages = retriever | (lambda found: "\n".join(each.page_content for each in found))
    given = RunnableParallel(passages=passages, question=RunnablePassthrough())
    return str((given | PROMPT | ParrotFakeChatModel() | StrOutputParser()).invoke(QUESTION))


def test_retriever_returns_what_a_search_finds(reader: Reader) -> None:
    found = as_retriever(reader, top_k=2).invoke(QUESTION)

    findings = reader.search(QUESTION, 2)
    assert [document.page_content for document in found] == [p.text for p in findings.passages]
    assert found[0].id == findings.passages[0].chunk.id
    assert found[0].metadata == {
        "document": "endpoints.md",
        "title": "Work with endpoints",
        "headings": ["Encrypt an endpoint"],
        "url": findings.passages[0].chunk.url,
        "score": findings.passages[0].score,
        "confidence": findings.confidence,
        "answerable": findings.answerable,
    }


def test_retriever_searches_the_documents_it_is_limited_to(reader: Reader) -> None:
    filters = Filters(documents=("training.md",))

    found = as_retriever(reader, top_k=3, filters=filters).invoke(QUESTION)

    assert {document.metadata["document"] for document in found} == {"training.md"}


def test_retriever_works_in_a_chain(reader: Reader) -> None:
    assert "`KmsKeyId`" in answered_by(as_retriever(reader, top_k=1))


async def test_retriever_works_in_an_asynchronous_chain(reader: Reader) -> None:
    found = await as_retriever(reader, top_k=1).ainvoke(QUESTION)
    assert found[0].metadata["document"] == "endpoints.md"


def test_vector_store_works_in_a_chain(reader: Reader) -> None:
    store = vector_store(reader)
    assert "`KmsKeyId`" in answered_by(store.as_retriever(search_kwargs={"k": 1}))


def test_vector_store_searches_by_marginal_relevance_and_by_metadata(reader: Reader) -> None:
    store = vector_store(reader)

    diverse = store.max_marginal_relevance_search(QUESTION, k=3, fetch_k=5, lambda_mult=0.1)
    filtered = store.similarity_search(QUESTION, k=5, filter={"document": "training.md"})

    assert len({document.page_content for document in diverse}) == 3
    assert {document.metadata["document"] for document in filtered} == {"training.md"}


def test_relevance_in_the_vector_store_is_the_cosine(reader: Reader) -> None:
    text = next(c.text_to_embed for c in reader.current().corpus.chunks if "KmsKeyId" in c.text)

    (_, relevance), *others = vector_store(reader).similarity_search_with_relevance_scores(text)

    assert relevance == pytest.approx(1.0, abs=1e-5)
    assert all(0 <= score < relevance for _, score in others)


def test_vector_store_creates_and_modifies_no_collection(reader: Reader) -> None:
    def collections() -> list[tuple[object, ...]]:
        found = reader.store().client.list_collections()
        return sorted(
            (c.name, str(c.id), sorted((c.metadata or {}).items()), c.count()) for c in found
        )

    reader.refresh()
    before = collections()

    vector_store(reader).similarity_search(QUESTION)

    assert collections() == before


def test_missing_index_is_reported(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, database=str(tmp_path / "none"))
    with pytest.raises(IndexMissingError, match="Build it"):
        as_retriever(settings).invoke(QUESTION)
    with pytest.raises(IndexMissingError, match="Build it"):
        vector_store(settings)


SCRIPTS = {
    "retriever": (
        "from database.reading.langchain_adapters import as_retriever\n"
        "assert as_retriever().invoke('How do I encrypt an endpoint?')\n"
    ),
    "vector store": (
        "from database.reading.langchain_adapters import vector_store\n"
        "assert vector_store().max_marginal_relevance_search('encrypt an endpoint', k=2)\n"
    ),
    "embeddings": (
        "from database.embedding.models import model_for\n"
        "from utils.settings import load_settings\n"
        "settings = load_settings()\n"
        "model = model_for(settings.embedding_model_name, settings)\n"
        "embeddings = model.load_embeddings(cache=settings.embedding_cache_path)\n"
        "assert len(embeddings.embed_documents(['kiln'] * 40)) == 40\n"
    ),
}


@pytest.fixture(scope="module")
def settings_of_index(
    minilm: LocalModel, openvino_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a script that uses an embedded index built with the packaged MiniLM."""
    folder = tmp_path_factory.mktemp("embedded")
    with closing(open_store(str(folder / "index"), create=True)) as store:
        made = make_builder(minilm, store, cache=openvino_cache, backend="openvino", skipped=print)
        made.build(write_pages(folder / "pages"))
    return {
        "DATABASE": str(folder / "index"),
        "EMBEDDING_MODEL_NAME": minilm.name,
        "EMBEDDING_CACHE_PATH": str(openvino_cache),
        "EMBEDDING_BACKEND": "openvino",
        "PYTHONPATH": str(PROJECT_ROOT),
    }


@pytest.mark.model
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_that_closes_nothing_exits_cleanly(
    script: str, settings_of_index: dict[str, str], tmp_path: Path
) -> None:
    """OpenVINO's threads must not need the interpreter while it shuts down."""
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPTS[script]],
            cwd=tmp_path,
            env=os.environ | settings_of_index,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
