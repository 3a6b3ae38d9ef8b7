"""The embeddings that fit an index: loads the model it was built with, or reports the mismatch."""

import logging

from langchain_core.embeddings import Embeddings

from database.embedding.api.api_model import ApiModel
from database.embedding.models import EmbeddingModel, model_for, model_type
from database.index.fingerprint import Fingerprint, Recipe
from utils.errors import IndexMismatchError
from utils.settings import Settings, build_command

log = logging.getLogger(__name__)


def embeddings_for(fingerprint: Fingerprint, settings: Settings) -> Embeddings:
    """Load the model an index was built with, after comparing it with the settings' model.

    Raises:
        IndexMismatchError: the settings name another model, or its files differ.
        ModelError: the model cannot be loaded.
    """
    recipe = fingerprint.recipe
    configured = settings.embedding_model_name or recipe.embedding_model
    # Without the index's path or address: /readyz shows this.
    repair = f"Build the index again with this model ({build_command(model=configured)})"
    model = model_of_index(recipe, settings)
    hint = f"set {model_type(recipe.embedding_model).settings_hint(recipe.embedding_model)}"
    if not isinstance(model, ApiModel) and configured == recipe.embedding_model:
        hint = "restore the files and the EMBEDDING_ADAPTER that it was built with"
    if differs := recipe.first_difference(model):
        field, theirs, ours = differs
        raise IndexMismatchError(
            f"The index was built with {recipe.embedding_model} and this service is set to "
            f"{configured}: {field} is {_short(theirs)} there and {_short(ours)} here. {repair}, "
            f"or {hint}."
        )
    return model.load_embeddings(
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )


def model_of_index(recipe: Recipe, settings: Settings) -> EmbeddingModel:
    """The settings' model, else the index's; without the adapter if the index was built so.

    Raises:
        ModelError, SettingsError: as `model_for`.
    """
    model = model_for(settings.embedding_model_name or recipe.embedding_model, settings)
    plain = None if isinstance(model, ApiModel) else model.without_adapter()
    # Compared first, because each revision reads all of the model's files.
    if plain and model.revision != recipe.model_revision == plain.revision:
        log.info(
            "The index was built without EMBEDDING_ADAPTER, which finds more: %s", build_command()
        )
        return plain
    return model


def _short(text: str) -> str:
    """The first digits of a hash; an API's revision, which is words, unchanged."""
    return text if " " in text else text[:12]
