"""What a first start provides by itself: the documents and the embedding model.

`db_builder --provision` runs on this: it works from nothing, and leaves alone what is there.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from database.check import check_collection
from database.fingerprint import Recipe
from database.models import MINILM, EmbeddingModel, find_model
from database.store import Store
from dataset.documents import has_documents
from dataset.fetch import fetch_missing
from utils.errors import IndexDamagedError, IndexMissingError, ModelError
from utils.settings import DEFAULT_EMBEDDING_MODEL, Settings

log = logging.getLogger(__name__)


def provide_model(settings: Settings, store: Store, say: Callable[[str], None]) -> EmbeddingModel:
    """The model that the settings name, else the index's own; for a first index the default.

    Where the default cannot be had, the packaged one stands in, and the index stays with it: a
    network that comes back one day does not make every document be embedded again.

    Raises:
        ModelError: the model is not to be had.
    """
    path = settings.embedding_model_path
    built = live_recipe(store)
    name = settings.embedding_model_name or (built and built.embedding_model)
    if name:
        return find_model(name, path)
    try:
        return find_model(DEFAULT_EMBEDDING_MODEL, path)
    except ModelError as error:
        say(f"{error} Going on with the packaged {MINILM}.")
        return find_model(MINILM, path)


def live_recipe(store: Store) -> Recipe | None:
    """How the live index was made; None where there is none that can be read."""
    try:
        live, _, fingerprint = store.live_collection()
        check_collection(store, live.name)
    except (IndexMissingError, IndexDamagedError):
        return None
    return fingerprint.recipe


def provide_documents(folder: Path, store: Store, recipe: Recipe) -> bool:
    """Fetch what documents are missing; False where an index is to be used without any.

    An index that was put there ready-made, and fits, needs no documents.

    Raises:
        DatasetError: there are none and none could be fetched.
    """
    built = None if has_documents(folder) else live_recipe(store)
    if built and built.digest() == recipe.digest():
        return False
    fetch_missing(folder)
    return True
