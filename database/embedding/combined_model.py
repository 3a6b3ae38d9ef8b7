"""Several models in one index, named `a+b`: each text's vectors are joined to one.

The cosine of two joined vectors is the mean of the models' cosines, so a search finds passages that
either model alone ranks too low.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

from database.embedding.local_model import LocalModel
from database.embedding.query_embeddings import embed_queries
from utils.settings import Backend, Device


@dataclass(frozen=True)
class CombinedModel:
    """Local models, used together; see `LocalModel` for the meaning of each property."""

    models: tuple[LocalModel, ...]

    @staticmethod
    def settings_hint(name: str) -> str:
        """What to set so that the service uses the models of this name."""
        return LocalModel.settings_hint(name)

    def without_adapter(self) -> "CombinedModel | None":
        """The same models without adapters; None if none has one."""
        plain = tuple(model.without_adapter() or model for model in self.models)
        return CombinedModel(plain) if plain != self.models else None

    @property
    def name(self) -> str:
        """Their names, joined by "+"."""
        return "+".join(model.name for model in self.models)

    @cached_property
    def revision(self) -> str:
        """SHA-256 (hexadecimal) of their revisions, in order."""
        revisions = "".join(model.revision for model in self.models)
        return hashlib.sha256(bytes.fromhex(revisions)).hexdigest()

    @property
    def dimension(self) -> int:
        """Length of the joined vectors."""
        return sum(model.dimension for model in self.models)

    @property
    def pooling(self) -> str:
        """How each combines token vectors."""
        return ", ".join(model.pooling for model in self.models)

    @property
    def max_tokens(self) -> int:
        """Tokens that all of them read."""
        return min(model.max_tokens for model in self.models)

    @property
    def max_chunk_tokens(self) -> int:
        """Tokens of the longest chunk that all of them read whole."""
        return min(model.max_chunk_tokens for model in self.models)

    def count_tokens(self, text: str) -> int:
        """The largest of the models' token counts of a text."""
        return max(model.count_tokens(text) for model in self.models)

    def window(self, chunk_size: int, default: int) -> int:
        """Chunks to embed and store at a time."""
        return default

    def load_embeddings(
        self, *, device: Device = "auto", backend: Backend = "auto", cache: Path
    ) -> "CombinedEmbeddings":
        """Load all of them; parameters and errors are those of `LocalModel.load_embeddings`."""
        return CombinedEmbeddings(
            [
                model.load_embeddings(device=device, backend=backend, cache=cache)
                for model in self.models
            ]
        )

    def prepare(self, *, device: Device, backend: Backend, cache: Path) -> None:
        """Export all of them, as `LocalModel.prepare` does."""
        for model in self.models:
            model.prepare(device=device, backend=backend, cache=cache)


class CombinedEmbeddings(Embeddings):
    """Joins the vectors of several embeddings, each of unit length, to one of unit length."""

    def __init__(self, parts: list[Embeddings]) -> None:
        self._parts = parts

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages."""
        return _joined([part.embed_documents(texts) for part in self._parts])

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return _joined([[part.embed_query(text)] for part in self._parts])[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed several questions."""
        return _joined([embed_queries(part, texts) for part in self._parts])


def _joined(vectors: list[list[list[float]]]) -> list[list[float]]:
    """Join the vectors of each text: (models, texts, their dimension) to (texts, dimension)."""
    joined: list[list[float]] = (np.hstack(vectors) / np.sqrt(len(vectors))).tolist()
    return joined
