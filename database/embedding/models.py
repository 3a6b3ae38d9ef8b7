"""The one place that decides whether a model runs on this machine or behind an API."""

from database.embedding.api.api_model import ApiModel
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model
from utils.settings import Settings

EmbeddingModel = LocalModel | ApiModel


def model_type(name: str) -> type[LocalModel] | type[ApiModel]:
    """The class of a model: `provider:model` is an API's; names on the Hub have no colon."""
    return ApiModel if ":" in name else LocalModel


def model_for(name: str, settings: Settings, *, building: bool = False) -> EmbeddingModel:
    """The model of a name: files on this machine or from the Hub, or an API's.

    Args:
        name: The model's name on the Hub, a folder, or `provider:model`.
        settings: Location of the files; address and key of the API.
        building: True to build an index: an API is then called with patience.

    Raises:
        ModelError: the model was not found; one line that states how to get it.
        SettingsError: the API's name or key is missing or invalid.
    """
    if model_type(name) is ApiModel:
        return ApiModel.from_settings(name, settings, building=building)
    return find_model(name, settings.embedding_model_path, settings.embedding_adapter)
