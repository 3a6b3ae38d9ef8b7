"""Holds a snapshot against the embedding model that this machine would ask questions with."""

from database.embedding.loading import model_for
from database.index.fingerprint import Fingerprint
from utils.errors import IndexMismatchError, ModelError
from utils.settings import Settings

_NONETHELESS = "To pull it nonetheless: --any-model."


def verify_model(fingerprint: Fingerprint, settings: Settings) -> None:
    """Refuse an index of vectors that no question from here would find.

    Args:
        fingerprint: What the index was made from.
        settings: What the model is taken from; where they name none, it is the index's own.

    Raises:
        ModelError: the model cannot be had.
        IndexMismatchError: it is another than the index's.
    """
    recipe = fingerprint.recipe
    name = settings.embedding_model_name or recipe.embedding_model
    try:
        differs = recipe.first_difference(model_for(name, settings))
    except ModelError as error:
        raise ModelError(f"{error} {_NONETHELESS}") from error
    if differs:
        field, theirs, ours = differs
        raise IndexMismatchError(
            f"The snapshot was made with {recipe.embedding_model} and this machine is set to "
            f"{name}: {field} is {theirs[:12]} there and {ours[:12]} here. Set "
            f"EMBEDDING_MODEL_NAME={recipe.embedding_model}. {_NONETHELESS}"
        )
