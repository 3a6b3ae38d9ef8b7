"""Embeds a search's texts: LangChain's interface has a batch of passages, but none of questions."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from database.embedding.batch_cache import BatchCache

_Vectors = list[list[float]]
_BATCH = 4
"""Texts; the largest batch that OpenVINOEmbeddings runs with its program for questions."""
_PART_CHARACTERS = 600
"""What the packaged model reads (256 tokens), even of logs and code, which have more tokens per
character."""


def embed_question(embeddings: Embeddings, question: str) -> list[float]:
    """Embed a question; a long one by the mean of its parts' unit vectors, weighted by length.

    A model ignores what exceeds its input, and the cause in a stack trace is often its last line.
    """
    parts = _parts(question)
    if len(parts) == 1:
        return embed_queries(embeddings, parts)[0]
    vectors = np.array(embed_few(embeddings, parts))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    mean: list[float] = np.average(vectors, axis=0, weights=[*map(len, parts)]).tolist()
    return mean


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


class EmbeddingCache:
    """Embeds texts that many questions share, each once while its vector is cached; thread-safe.

    Args:
        embeddings: Embeds the others.
        size: How many vectors are kept; one of 384 numbers takes about 2 kB.
    """

    def __init__(self, embeddings: Embeddings, size: int) -> None:
        self.embeddings = embeddings
        self._vectors = BatchCache(size, self._embed)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; returns (texts, dimension)."""
        vectors = self._vectors.get(texts)
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    def _embed(self, texts: list[str]) -> list[npt.NDArray[np.float32]]:
        return [np.array(vector, np.float32) for vector in embed_few(self.embeddings, texts)]


def _parts(question: str) -> list[str]:
    """Whole lines of up to _PART_CHARACTERS together; a longer line is cut."""
    parts = [""]
    for line in question.splitlines(keepends=True):
        for start in range(0, len(line), _PART_CHARACTERS):
            piece = line[start : start + _PART_CHARACTERS]
            if parts[-1] and len(parts[-1]) + len(piece) > _PART_CHARACTERS:
                parts.append("")
            parts[-1] += piece
    return [part for part in parts if part.strip()] or [question]
