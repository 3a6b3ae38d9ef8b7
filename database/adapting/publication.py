"""Writes an adapted model, with its record and card, as a model folder."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.embedding.local_model import LocalModel
from database.index.disk_space import check_space, space_error
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_RECORD = "adaptation.json"
_CARD = "README.md"

_WEIGHTS = {".safetensors", ".bin"}
_NOT_COPIED = {_CARD, _RECORD, "modules.json"}
"""Files that describe the base model or list its modules."""


@contextmanager
def publish(model: "SentenceTransformer", base: LocalModel, folder: Path) -> Iterator[LocalModel]:
    """Write a new model folder atomically: it is renamed to `folder` if the block succeeds.

    Configuration and tokenizer are copied from `base`, so that truncation and pooling are the same.

    Yields:
        The model in its temporary folder, for files still to be added.

    Raises:
        ModelError: the folder cannot be written.
        DiskFullError: its disk has no room for the model.
    """
    prefix = f".{folder.name}.writing-"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for interrupted in folder.parent.glob(f"{prefix}*"):
            shutil.rmtree(interrupted)
        check_space(folder.parent, sum(path.stat().st_size for path in _weights(base.folder)))
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
    except OSError as error:
        raise ModelError(f"Cannot write to {folder.parent} ({error.strerror}).") from error
    try:
        model.save_pretrained(str(scratch), create_model_card=False)
        _copy_configuration(base.folder, scratch)
        yield LocalModel(folder.name, scratch)
        # mkdtemp permits only its owner, but the service may run as another user.
        for path in (scratch, *scratch.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        scratch.rename(folder)
    except OSError as error:
        reason = f"Cannot write {folder} ({error.strerror})."
        raise space_error(folder, error) or ModelError(reason) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_record(folder: Path, record: Mapping[str, Any], card: str) -> None:
    """Write a model's record and card into its folder."""
    (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n")
    (folder / _CARD).write_text(card)


def _weights(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix in _WEIGHTS]


def _copy_configuration(base: Path, folder: Path) -> None:
    """Copy the files beside the weights; subfolders are modules or other weight formats."""
    for path in base.iterdir():
        copied = path.name not in _NOT_COPIED and path.suffix not in _WEIGHTS
        if copied and path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read an adapted model's record; None for any other model.

    Raises:
        ModelError: the record cannot be read.
    """
    path = folder / _RECORD
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"Cannot read {path}; copy the model again.") from error
