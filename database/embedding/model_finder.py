"""Finds the embedding model: in a folder, in a hub cache, in its packages or on the Hub."""

import json
import os
from dataclasses import replace
from pathlib import Path

from database.embedding.adapter import Adapter
from database.embedding.local_model import LocalModel
from database.embedding.model_folder import find_weights
from database.embedding.packaged_models import (
    MINILM,
    MPNET,
    packaged_minilm,
    unpack_mpnet,
    verify_weights,
)
from dataset.progress import line_bar_class
from utils.errors import ModelError
from utils.settings import DEFAULT_MODEL_FOLDER, PROJECT_ROOT, in_container

_NOT_NEEDED = ["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "pytorch_model.bin"]
"""Other formats of the same weights, several GB in all."""
_ADAPTED = "models/"
"""Folder, below the project's root, to which `database.adapting` writes models."""
_FOLDERS = (_ADAPTED, "/")
"""Prefixes of a model name that is a folder."""
_HUB_TIMEOUT = 5.0
"""Seconds."""


def find_model(name: str, path: Path | None = None, adapter: Path | None = None) -> LocalModel:
    """Find a model: at `path`, in a hub cache, in its packages, or on the Hub.

    all-MiniLM-L6-v2 is loaded from its package if that is installed.

    Args:
        name: The model's name on the Hub, or a folder as `model_name_of` returns it.
        path: A model folder, or a hub cache folder, to which a missing model is downloaded.
        adapter: The file of an adapter, for the model that it was made for; other models are
            returned without it.

    Raises:
        ModelError: the model or the adapter is not available.
    """
    found = _find(name, path)
    if adapter is None:
        return found
    candidate = Adapter(adapter)
    return replace(found, adapter=candidate) if candidate.base == found.weights_digest else found


def _find(name: str, path: Path | None) -> LocalModel:
    if len(split_name(name)) > 1:
        raise ModelError(f"{name} is several models, and this needs one.")
    if name == MINILM and (packaged := packaged_minilm()):
        verify_weights(packaged)
        return _checked(packaged)
    if name.startswith(_FOLDERS):
        return _checked(LocalModel(name, _folder_of(name)))
    for place in dict.fromkeys((path, DEFAULT_MODEL_FOLDER, None)):
        if place and _is_folder_of(place, name):
            return _checked(LocalModel(name, place))
        if found := _from_hub_cache(name, place):
            return _checked(LocalModel(name, found))
    if name == MPNET and (packaged := unpack_mpnet(DEFAULT_MODEL_FOLDER)):
        return _checked(packaged)
    return _checked(LocalModel(name, _from_hub(name, path)))


def model_name_of(model: str) -> str:
    """Return the name that identifies a model given as a name or a folder.

    A folder below the project's `models/` becomes relative to the project's root, so that an index
    built with it can be served elsewhere; any other folder becomes absolute; a name is unchanged.
    """
    if len(names := split_name(model)) > 1:
        return "+".join(map(model_name_of, names))
    if not model.startswith((*_FOLDERS, ".", "~")):
        return model
    folder = Path(model).expanduser().absolute().resolve()
    if not folder.is_dir() and model.startswith(_ADAPTED):
        folder = (PROJECT_ROOT / model).resolve()
    try:
        relative = folder.relative_to(PROJECT_ROOT.resolve()).as_posix()
    except ValueError:
        return str(folder)
    return relative if relative.startswith(_ADAPTED) else str(folder)


def split_name(name: str) -> list[str]:
    """The models that a name joins by "+", which the name of a folder may contain too."""
    return [name] if (PROJECT_ROOT / Path(name).expanduser()).is_dir() else name.split("+")


def _folder_of(name: str) -> Path:
    folder = PROJECT_ROOT / name
    if ".." in folder.parts or not folder.is_dir():
        raise ModelError(
            f"No model folder {name}. Copy it from the machine where it was made, or make one: "
            "python -m database.adapting"
        )
    return folder


def _is_folder_of(folder: Path, name: str) -> bool:
    """True for a model folder; the default folder only matches the model of the same name."""
    if folder == DEFAULT_MODEL_FOLDER and folder.name != name.rpartition("/")[2]:
        return False
    return (folder / "config.json").is_file()


def _checked(model: LocalModel) -> LocalModel:
    """Raise a clear error for a missing file, before a library fails on it."""
    for file in (model.weights, model.tokenizer_file, *model.layers):
        if file.stat().st_size == 0:
            raise ModelError(f"{file} is empty; fetch the model again.")
    # Without modules.json, libraries would silently skip the layers.
    for name in ("config.json", *(["modules.json"] if model.layers else [])):
        if not (model.folder / name).is_file():
            raise ModelError(f"No {name} in the model folder {model.folder}.")
    return model


def _from_hub_cache(name: str, cache: Path | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, cache_dir=cache, local_files_only=True)
    except HFValidationError as error:
        raise ModelError(f"EMBEDDING_MODEL_NAME: {name!r} is not a model name.") from error
    except LocalEntryNotFoundError:
        return None
    return Path(found) if _is_complete(Path(found)) else None


def _is_complete(folder: Path) -> bool:
    """True if a download is complete, which the Hub client does not report."""
    try:
        modules = json.loads((folder / "modules.json").read_text())
        configs = [
            m["path"] + "/config.json" for m in modules if not m["type"].endswith("Normalize")
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    needed = ["tokenizer.json", *(config.lstrip("/") for config in configs)]
    modules_with_weights = ["", *(m["path"] for m in modules if m["type"].endswith("Dense"))]
    weights = all(find_weights(folder / at) for at in modules_with_weights)
    return weights and all((folder / name).is_file() for name in needed)


def _from_hub(name: str, cache: Path | None) -> Path:
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        # snapshot_download makes this request without a timeout and would block on a silent Hub.
        HfApi().model_info(name, timeout=_HUB_TIMEOUT)
        found = snapshot_download(
            name,
            cache_dir=cache,
            etag_timeout=_HUB_TIMEOUT,
            ignore_patterns=_NOT_NEEDED,
            tqdm_class=line_bar_class(),
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        where = f" in {cache}" if cache else ""
        can_install = name == MPNET and not in_container()
        install = f"install it (make setup MODEL={name}), " if can_install else ""
        raise ModelError(
            f"Embedding model {name} is not{where} on this machine and could not be downloaded "
            f"({type(error).__name__}). Set EMBEDDING_MODEL_PATH to a folder with it, {install}or "
            f"use -m {MINILM}, which needs no download."
        ) from error
    if not _is_complete(Path(found)):
        raise ModelError(
            f"{name} on the Hub is not a sentence-transformers model with safetensors weights and "
            "tokenizer.json. Set EMBEDDING_MODEL_NAME to one."
        )
    return Path(found)
