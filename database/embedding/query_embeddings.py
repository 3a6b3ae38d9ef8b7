"""Embeds a search's texts: LangChain's interface has a batch of passages, but none of questions."""

from collections.abc import Callable

from langchain_core.embeddings import Embeddings

_Vectors = list[list[float]]
_BATCH = 4
"""Texts; the largest batch that OpenVINOEmbeddings runs with its program for questions."""


def embed_queries(embeddings: Embeddings, texts: list[str]) -> _Vectors:
    """Embed questions, in one request where the embeddings can."""
    if len(texts) == 1:
        return [embeddings.embed_query(texts[0])]
    embed: Callable[[list[str]], _Vectors]
    embed = getattr(embeddings, "embed_queries", embeddings.embed_documents)
    return embed(texts)


def embed_few(embeddings: Embeddings, texts: list[str]) -> _Vectors:
    """Embed a few dozen texts like questions: in one request to an API, else four at a time.

    A large batch would make OpenVINO compile the program for documents in the service.
    """
    if hasattr(embeddings, "embed_words"):
        return embed_queries(embeddings, texts)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # less padding
    vectors: _Vectors = [[] for _ in texts]
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        embedded = embed_queries(embeddings, [texts[at] for at in batch])
        for at, vector in zip(batch, embedded, strict=True):
            vectors[at] = vector
    return vectors


def embed_words(embeddings: Embeddings, words: list[str]) -> _Vectors:
    """Embed a question's words: in one request to an API, one by one on this machine.

    A large batch would make OpenVINO compile the program for documents in the service.
    """
    embed: Callable[[list[str]], _Vectors] | None = getattr(embeddings, "embed_words", None)
    return embed(words) if embed else [embeddings.embed_query(word) for word in words]
