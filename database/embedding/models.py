"""The one place that decides whether a model runs here or behind an API, or several together."""

from database.embedding.api.api_model import ApiModel
from database.embedding.combined_model import CombinedModel
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model, split_name
from utils.settings import Settings

EmbeddingModel = LocalModel | CombinedModel | ApiModel


def model_type(name: str) -> type[EmbeddingModel]:
    """The class of a model: `provider:model` is an API's and `a+b` two models'.

    Names on the Hub contain neither.
    """
    if ":" in name:
        return ApiModel
    return CombinedModel if len(split_name(name)) > 1 else LocalModel


def model_for(name: str, settings: Settings, *, building: bool = False) -> EmbeddingModel:
    """The model of a name: files on this machine or from the Hub, or an API's.

    Args:
        name: The model's name on the Hub, a folder, `provider:model`, or local ones joined by "+".
        settings: Location of the files; address and key of the API.
        building: True to build an index: an API is then called with patience.

    Raises:
        ModelError: the model was not found; one line that states how to get it.
        SettingsError: the API's name or key is missing or invalid.
    """
    if model_type(name) is ApiModel:
        return ApiModel.from_settings(name, settings, building=building)
    path, adapter = settings.embedding_model_path, settings.embedding_adapter
    models = tuple(find_model(each, path, adapter) for each in split_name(name))
    return CombinedModel(models) if len(models) > 1 else models[0]
