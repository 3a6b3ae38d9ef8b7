"""The one place that decides whether a model runs here or behind an API, or several together."""

from database.embedding.api.api_model import ApiModel
from database.embedding.combined_model import CombinedModel
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model, split_name
from utils.errors import SettingsError
from utils.settings import Settings

EmbeddingModel = LocalModel | CombinedModel | ApiModel


def model_type(name: str) -> type[EmbeddingModel]:
    """The class of a model: `provider:model` runs behind an API; `a+b` joins local models.

    Names on the Hub contain neither.
    """
    if len(split_name(name)) > 1:
        return CombinedModel
    return ApiModel if ":" in name else LocalModel


def model_for(name: str, settings: Settings, *, building: bool = False) -> EmbeddingModel:
    """The model of a name: files on this machine or from the Hub, or an API's.

    Args:
        name: The model's name on the Hub, a folder, `provider:model`, or local ones joined by "+".
        settings: Location of the files; address and key of the API.
        building: True to build an index: an API is then called with patience.

    Raises:
        ModelError: the model was not found; one line that states how to get it.
        SettingsError: the name, or the API's key, is missing or invalid.
    """
    if model_type(name) is ApiModel:
        return ApiModel.from_settings(name, settings, building=building)
    if model_type(name) is CombinedModel:
        return _combined(name, settings)
    return find_model(name, settings.embedding_model_path, settings.embedding_adapter)


def _combined(name: str, settings: Settings) -> CombinedModel:
    names = split_name(name)
    if not all(names) or ApiModel in map(model_type, names):
        raise SettingsError(f"EMBEDDING_MODEL_NAME: {name!r}: only local models are joined by +.")
    path, adapter = settings.embedding_model_path, settings.embedding_adapter
    models = tuple(find_model(each, path, adapter) for each in names)
    if len({model.folder.resolve() for model in models}) < len(models):
        raise SettingsError(
            f"EMBEDDING_MODEL_NAME: {name!r} finds one folder twice. Join different models, and do "
            "not set EMBEDDING_MODEL_PATH to the folder of one of them."
        )
    return CombinedModel(models)
