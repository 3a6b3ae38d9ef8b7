"""Embeds a search's texts: LangChain's interface has a batch of passages, but none of questions."""

from collections.abc import Callable

from langchain_core.embeddings import Embeddings

Vectors = list[list[float]]


def embed_queries(embeddings: Embeddings, texts: list[str]) -> Vectors:
    """Embed a question and its clauses, in one request where the embeddings can."""
    if len(texts) == 1:
        return [embeddings.embed_query(texts[0])]
    embed: Callable[[list[str]], Vectors]
    embed = getattr(embeddings, "embed_queries", embeddings.embed_documents)
    return embed(texts)


def embed_words(embeddings: Embeddings, words: list[str]) -> Vectors:
    """Embed a question's words: in one request to an API, one by one on this machine.

    A large batch would make OpenVINO compile the program for documents in the service.
    """
    embed: Callable[[list[str]], Vectors] | None = getattr(embeddings, "embed_words", None)
    return embed(words) if embed else [embeddings.embed_query(word) for word in words]
