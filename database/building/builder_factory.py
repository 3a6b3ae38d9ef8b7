"""Creates a builder from a model and a store."""

from collections.abc import Callable
from pathlib import Path

from database.building.build import WINDOW, Builder
from database.embedding.models import EmbeddingModel
from database.index.fingerprint import Recipe
from database.index.store import Store
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.progress import Progress, ignore_progress
from dataset.splitting import CHUNKER_VERSION, ChunkSize, split_document
from utils.settings import Backend, Device


def make_builder(
    model: EmbeddingModel,
    store: Store,
    *,
    cache: Path,
    chunk_size: int | None = None,
    chunk_overlap: int = 0,
    device: Device = "auto",
    backend: Backend = "auto",
    progress: Progress = ignore_progress,
    skipped: Callable[[str], None],
) -> Builder:
    """Create a builder whose chunks fit the model's input.

    Args:
        model: The embedding model; loaded when there is something to embed.
        store: The store to build in.
        cache: Folder for the model converted to OpenVINO.
        chunk_size: Maximum chunk length in tokens; by default the model's input length.
        chunk_overlap: Tokens that a chunk repeats of the previous one where a section is cut.
        device: The device to embed on.
        backend: The runtime to embed with.
        progress: Called with the number of chunks stored, and the total.
        skipped: Called with a line for each document or option that cannot be used as given.

    Raises:
        ModelError: the model's files cannot be read, or its API does not answer.
    """
    readable = model.max_chunk_tokens
    if chunk_size is not None and chunk_size > readable:
        skipped(
            f"Chunk size {chunk_size} exceeds the model's input length: chunks of {readable} "
            "tokens are used, so that no text is cut off."
        )
    size = min(chunk_size or readable, readable)
    return Builder(
        store=store,
        recipe=Recipe(
            embedding_model=model.name,
            model_revision=model.revision,
            dimension=model.dimension,
            pooling=model.pooling,
            max_tokens=model.max_tokens,
            chunker_version=CHUNKER_VERSION,
            chunk_size=size,
            chunk_overlap=chunk_overlap,
        ),
        count_tokens=model.count_tokens,
        load_embeddings=lambda: model.load_embeddings(device=device, backend=backend, cache=cache),
        progress=progress,
        skipped=skipped,
        window=model.window(size, WINDOW),
    )


def splitter_for(model: EmbeddingModel, recipe: Recipe) -> Callable[[Document], list[Chunk]]:
    """A function that splits documents as an index of this model and recipe was split."""
    size = ChunkSize(recipe.chunk_size, recipe.chunk_overlap)
    return lambda document: split_document(document, size, model.count_tokens)
