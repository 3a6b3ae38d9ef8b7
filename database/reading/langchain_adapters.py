"""The live index in LangChain: as a retriever, and as a vector store.

`as_retriever` ranks as the service does (dense and lexical search, fusion, passage selection):

    from langchain_core.output_parsers import StrOutputParser
    from database.reading.langchain_adapters import as_retriever

    chain = as_retriever(top_k=5) | prompt | llm | StrOutputParser()

`vector_store` is dense search only, with everything that langchain-chroma offers (maximal marginal
relevance, metadata filters, `.as_retriever()`):

    from database.reading.langchain_adapters import vector_store

    store = vector_store()
    store.max_marginal_relevance_search("How do I encrypt an endpoint?", k=4, fetch_k=40)
    store.similarity_search("encryption", filter={"document": "endpoints.md"})

Both read the settings from the environment and .env unless a `Settings` or a `Reader` is passed.
"""

from typing import TYPE_CHECKING

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from database.reading.reader import Reader, reader_from
from database.searching.filters import EVERYTHING, Filters
from utils.settings import Settings, load_settings

if TYPE_CHECKING:
    from langchain_chroma import Chroma


def as_retriever(
    source: Settings | Reader | None = None,
    *,
    top_k: int | None = None,
    filters: Filters = EVERYTHING,
) -> BaseRetriever:
    """A LangChain retriever over the live index; it follows new builds.

    Each document is a passage, best first, with the metadata document, title, headings, url and
    score, and the confidence and answerable of the whole search.

    Args:
        source: The settings, or a reader to share; None reads the settings.
        top_k: Passages per question; None for TOP_K of the settings.
        filters: Documents to search.
    """
    reader = _reader_of(source)
    if top_k is None:
        top_k = (source if isinstance(source, Settings) else load_settings()).top_k
    return _ReaderRetriever(reader=reader, top_k=top_k, filters=filters)


def vector_store(source: Settings | Reader | None = None) -> "Chroma":
    """Langchain-chroma's vector store over the collection that is live now, for reading.

    Relevance scores are cosines. Changes made to the collection in place are visible at once; after
    a build has gone live, call this again. Do not write through it: the index would no longer match
    its fingerprint.

    Args:
        source: The settings, or a reader to share; None reads the settings.

    Raises:
        IndexUnavailableError: there is no index to read.
        ModelError: the embedding model cannot be loaded.
    """
    from langchain_chroma import Chroma

    reader = _reader_of(source)
    state = reader.current()
    return Chroma(
        client=reader.store().client,
        collection_name=state.live.name,
        embedding_function=state.corpus.embeddings,
        create_collection_if_not_exists=False,
        # The collection's space is cosine; Chroma returns distances.
        relevance_score_fn=lambda distance: 1.0 - distance,
    )


def _reader_of(source: Settings | Reader | None) -> Reader:
    return source if isinstance(source, Reader) else reader_from(source or load_settings())


class _ReaderRetriever(BaseRetriever):
    reader: Reader
    top_k: int
    filters: Filters

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        findings = self.reader.search(query, self.top_k, self.filters)
        return [
            Document(
                id=passage.chunk.id,
                page_content=passage.text,
                metadata={
                    "document": passage.chunk.document,
                    "title": passage.chunk.title,
                    "headings": list(passage.chunk.headings),
                    "url": passage.chunk.url,
                    "score": passage.score,
                    "confidence": findings.confidence,
                    "answerable": findings.answerable,
                },
            )
            for passage in findings.passages
        ]
