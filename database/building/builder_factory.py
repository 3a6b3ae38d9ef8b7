"""Puts a builder together from a model and a store."""

from collections.abc import Callable
from pathlib import Path

from database.building.build import WINDOW, Builder
from database.embedding.api import models as api_models
from database.embedding.loading import EmbeddingModel, load_embeddings
from database.index.fingerprint import Recipe
from database.index.store import Store
from dataset.chunks import Chunk
from dataset.documents import Document
from dataset.progress import Progress, ignore_progress
from dataset.splitting import CHUNKER_VERSION, ChunkSize, CountTokens, split_document
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
    """Make a builder whose chunks the model reads whole.

    Args:
        model: The embedding model; it is loaded when there is something to embed.
        store: Where the index goes.
        cache: Folder for OpenVINO's form of the model.
        chunk_size: Longest chunk in the model's tokens; what the model reads is the limit.
        chunk_overlap: Tokens that a chunk repeats of the one before where a section is cut.
        device: Where to embed.
        backend: With what to embed.
        progress: Told how many chunks are stored and how many there will be.
        skipped: Told in a line of each thing that could not be done as asked.

    Raises:
        ModelError: the model's files cannot be read, or its API does not answer.
    """
    count_tokens, readable = token_counter(model)
    if chunk_size is not None and chunk_size > readable:
        skipped(
            f"Chunk size {chunk_size} is more than the model reads: chunks of {readable} tokens "
            "are made, so that nothing is cut off."
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
        count_tokens=count_tokens,
        load_embeddings=lambda: load_embeddings(model, device=device, backend=backend, cache=cache),
        progress=progress,
        skipped=skipped,
        window=_window(model, size),
    )


def splitter_for(model: EmbeddingModel, recipe: Recipe) -> Callable[[Document], list[Chunk]]:
    """What splits a document as an index was split that the model was used for."""
    count_tokens, _ = token_counter(model)
    size = ChunkSize(recipe.chunk_size, recipe.chunk_overlap)
    return lambda document: split_document(document, size, count_tokens)


def token_counter(model: EmbeddingModel) -> tuple[CountTokens, int]:
    """How a text's tokens are counted for a model, and how many of them a chunk may have."""
    if isinstance(model, api_models.ApiModel):
        return api_models.count_tokens, model.max_tokens
    tokenizer = model.tokenizer()
    special: int = tokenizer.num_special_tokens_to_add(is_pair=False)
    return (
        lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
        model.max_tokens - special,
    )


def _window(model: EmbeddingModel, chunk_size: int) -> int:
    """Chunks embedded and stored at a time: of an API a request's, for these are paid for."""
    if isinstance(model, api_models.ApiModel):
        fitting = api_models.chunks_in_a_request(chunk_size)
        return min(fitting, model.pace.batch_size)
    return WINDOW
