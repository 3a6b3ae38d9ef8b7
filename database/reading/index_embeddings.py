"""The embeddings that fit an index: loads the model it was built with, or reports the mismatch."""

from langchain_core.embeddings import Embeddings

from database.embedding.models import model_for, model_type
from database.index.fingerprint import Fingerprint
from utils.errors import IndexMismatchError
from utils.settings import Settings, build_command


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
    hint = model_type(recipe.embedding_model).settings_hint(recipe.embedding_model)
    model = model_for(configured, settings)
    if differs := recipe.first_difference(model):
        field, theirs, ours = differs
        raise IndexMismatchError(
            f"The index was built with {recipe.embedding_model} and this service is set to "
            f"{configured}: {field} is {_short(theirs)} there and {_short(ours)} here. {repair}, "
            f"or set {hint}."
        )
    return model.load_embeddings(
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )


def _short(text: str) -> str:
    """The first digits of a hash; an API's revision, which is words, unchanged."""
    return text if " " in text else text[:12]
