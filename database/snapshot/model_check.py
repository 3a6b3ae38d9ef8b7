"""Checks that a snapshot's embedding model is the one that this machine uses for questions."""

from database.index.fingerprint import Fingerprint
from database.reading.index_embeddings import model_of_index
from utils.errors import IndexMismatchError, ModelError
from utils.settings import Settings

_ANY_MODEL = "To pull it anyway: --any-model."


def verify_model(fingerprint: Fingerprint, settings: Settings) -> None:
    """Refuse an index whose vectors do not match this machine's model.

    If the settings name no model, the index's own model is used.

    Raises:
        ModelError: the model cannot be found or loaded.
        IndexMismatchError: the index was made with another model.
    """
    recipe = fingerprint.recipe
    name = settings.embedding_model_name or recipe.embedding_model
    try:
        differs = recipe.first_difference(model_of_index(recipe, settings))
    except ModelError as error:
        raise ModelError(f"{error} {_ANY_MODEL}") from error
    if differs:
        field, theirs, ours = differs
        raise IndexMismatchError(
            f"The snapshot was made with {recipe.embedding_model} and this machine is set to "
            f"{name}: {field} is {theirs[:12]} there and {ours[:12]} here. Set "
            f"EMBEDDING_MODEL_NAME={recipe.embedding_model}. {_ANY_MODEL}"
        )
