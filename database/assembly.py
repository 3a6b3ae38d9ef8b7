"""Puts a builder together from a model and a store."""

from collections.abc import Callable
from pathlib import Path

from database.build import Builder, Progress
from database.embeddings import load_embeddings
from database.fingerprint import Recipe
from database.models import EmbeddingModel
from database.store import Store
from dataset.splitting import CHUNKER_VERSION
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
    progress: Progress = lambda done, total: None,
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
        ModelError: the model's files cannot be read.
    """
    tokenizer = model.tokenizer()
    readable = model.max_tokens - tokenizer.num_special_tokens_to_add(is_pair=False)
    if chunk_size is not None and chunk_size > readable:
        skipped(
            f"Chunk size {chunk_size} is more than the model reads: chunks of {readable} tokens "
            "are made, so that nothing is cut off."
        )
    return Builder(
        store=store,
        recipe=Recipe(
            embedding_model=model.name,
            model_revision=model.revision,
            dimension=model.dimension,
            pooling=model.pooling,
            max_tokens=model.max_tokens,
            chunker_version=CHUNKER_VERSION,
            chunk_size=min(chunk_size or readable, readable),
            chunk_overlap=chunk_overlap,
        ),
        count_tokens=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
        load_embeddings=lambda: load_embeddings(model, device=device, backend=backend, cache=cache),
        progress=progress,
        skipped=skipped,
    )
