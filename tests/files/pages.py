"""Made-up documentation, and embeddings that need no model."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from langchain_core.embeddings import Embeddings

from database.building.build import Builder
from database.index.fingerprint import Recipe
from database.index.store import Store
from dataset.chunks import Chunk
from dataset.splitting import CHUNKER_VERSION

DIMENSION = 64

PAGES = {
    "endpoints.md": (
        '# Work with endpoints<a name="endpoints"></a>\n\n'
        "An endpoint serves predictions\\. It runs on instances that you choose\\.\n\n"
        '## Encrypt an endpoint<a name="encrypt"></a>\n\n'
        "Set `KmsKeyId` in the endpoint configuration\\. The storage volume is then encrypted\\.\n"
    ),
    "training.md": (
        '# Train a model<a name="training"></a>\n\n'
        "A training job reads data from Amazon S3 and writes a model artifact\\.\n\n"
        '## Spot instances<a name="spot"></a>\n\n'
        "Managed spot training costs less and may be interrupted\\. Save checkpoints\\.\n"
    ),
    "notebooks.md": (
        '# Use notebooks<a name="notebooks"></a>\n\n'
        "A notebook instance runs Jupyter\\. Stop it when you do not need it\\.\n"
    ),
    "index.md": "# Guide\n\n+ [Endpoints](endpoints.md)\n+ [Training](training.md)\n",
}


def write_pages(folder: Path, pages: Mapping[str, str] = PAGES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_text(text)
    return folder


def many_pages(count: int) -> dict[str, str]:
    """Pages enough that a build takes several windows."""
    return {
        f"page-{number:04d}.md": f"# Topic {number}\n\n"
        + "\n\n".join(
            f"## Part {part}\n\nPart {part} of topic {number} is about word{number}x{part}."
            for part in range(8)
        )
        for number in range(count)
    }


def chunk(
    text: str,
    *,
    document: str = "kilns.md",
    title: str = "Kilns",
    headings: tuple[str, ...] = (),
    url: str = "",
    ordinal: int = 0,
    siblings: int = 9,
) -> Chunk:
    """A chunk of a page, as the splitter creates it."""
    id_ = f"{document}:{ordinal}"
    return Chunk(id_, document, "hash", title, headings, "", url, ordinal, siblings, text)


class WordEmbeddings(Embeddings):
    """Embeds texts with the same words close together, and records the texts.

    `before` is called with the documents' texts before they are embedded.
    """

    def __init__(self, before: Callable[[list[str]], object] = lambda texts: None) -> None:
        self._before = before
        self.documents: list[str] = []
        self.queries: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self._before(texts)
        self.documents += texts
        return [_vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_queries([text])[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        self.queries += texts
        return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    vector = [0.001] * DIMENSION
    for word in text.lower().split():
        vector[hashlib.sha256(word.strip(".,?").encode()).digest()[0] % DIMENSION] += 1.0
    length = sum(value * value for value in vector) ** 0.5
    return [value / length for value in vector]


def recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "embedding_model": "tests/words",
        "model_revision": "words-1",
        "dimension": DIMENSION,
        "pooling": "mean",
        "max_tokens": 256,
        "chunker_version": CHUNKER_VERSION,
        "chunk_size": 60,
        "chunk_overlap": 0,
    }
    return Recipe(**(fields | changes))  # type: ignore[arg-type]


def builder(store: Store, embeddings: Embeddings | None = None, **changes: object) -> Builder:
    """A builder over a store that counts words as tokens."""
    return Builder(
        store=store,
        recipe=recipe(**changes),
        count_tokens=lambda text: len(text.split()),
        load_embeddings=lambda: embeddings or WordEmbeddings(),
    )
