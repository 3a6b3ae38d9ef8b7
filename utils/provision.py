"""Provides the documents and the embedding model for `db_builder --provision`.

Nothing needs to exist yet; existing documents and models are not changed.
"""

from collections.abc import Callable
from pathlib import Path

from database.embedding.model_finder import find_model
from database.embedding.models import EmbeddingModel, model_for
from database.embedding.packaged_models import MINILM
from database.index.checks.collection_check import check_collection
from database.index.fingerprint import Fingerprint, Recipe
from database.index.store import Store
from database.reading.index_embeddings import model_of_index
from dataset.fetch import fetch_missing
from dataset.folder import has_documents
from utils.errors import IndexDamagedError, IndexMismatchError, IndexMissingError, ModelError
from utils.settings import DEFAULT_EMBEDDING_MODEL, Settings


def live_fingerprint(store: Store) -> Fingerprint | None:
    """Return how the live index was built; None if there is none, or it is damaged."""
    try:
        _, _, fingerprint = store.live_collection()
    except (IndexMissingError, IndexDamagedError):
        return None
    return fingerprint


def provide_model(
    settings: Settings,
    built: Fingerprint | None,
    report: Callable[[str], None],
    *,
    documents: bool = True,
) -> EmbeddingModel:
    """Return the model in the settings, else that of the index, else the default.

    If the default cannot be downloaded, the packaged model is used, and the index keeps it, so that
    a network that recovers later does not cause all documents to be embedded again. Without
    `documents` to build again from, an index built without the adapter keeps the model so.

    Raises:
        ModelError: the model is not available.
    """
    path = settings.embedding_model_path
    name = settings.embedding_model_name or (built and built.recipe.embedding_model)
    if built and not documents:
        return model_of_index(built.recipe, settings)
    if name:
        return model_for(name, settings, building=True)
    try:
        return find_model(DEFAULT_EMBEDDING_MODEL, path, settings.embedding_adapter)
    except ModelError as error:
        report(f"{error} Continuing with the packaged {MINILM}.")
        return find_model(MINILM, path, settings.embedding_adapter)


def provide_documents(
    folder: Path, store: Store, recipe: Recipe, built: Fingerprint | None
) -> bool:
    """Fetch missing documents; return False if a ready-made index is used without documents.

    Args:
        folder: Folder of the documents, or to fetch them to.
        store: Store of the index.
        recipe: The parameters of a build now.
        built: The fingerprint of the live index.

    Raises:
        DatasetError: there are no documents and none could be fetched.
        IndexMismatchError: the index is of another model, and its documents are missing.
        IndexDamagedError: the index cannot be read, and its documents are missing.
    """
    if built is None or has_documents(folder):
        fetch_missing(folder)
        return True
    if not built.recipe.has_same_vectors(recipe):
        raise IndexMismatchError(
            f"The index at {store.database} was built with {built.recipe.embedding_model}, not "
            f"{recipe.embedding_model}, and there are no documents to rebuild it from. Put them "
            f"in {folder}, or provide the model that the index was built with."
        )
    check_collection(store, store.live_collection()[0].name)
    return False
