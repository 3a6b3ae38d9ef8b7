"""Writes the adapted model as a folder that is everything the general one is, but what learned."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.embedding.local_model import LocalModel
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

ABOUT = "adaptation.json"
"""What the model was made from, how, and what it gained, for programs."""
CARD = "README.md"

_SCRATCH = ".{}.writing-"
"""How the name of a folder begins in which a model is written."""
_WEIGHTS = {".safetensors", ".bin"}
_NOT_OURS = {CARD, ABOUT, "modules.json"}
"""What is said of the general model, and what it is put together of."""


@contextmanager
def publish(model: "SentenceTransformer", base: LocalModel, folder: Path) -> Iterator[LocalModel]:
    """Write a model folder, whole or not at all: it gets its name when the block has ended well.

    Args:
        model: What is written.
        base: Whose configuration and tokenizer are taken over to the letter: how a text is cut and
            pooled stays as it was.
        folder: Where; it does not exist yet.

    Yields:
        The model in the folder that will be it, for what is still to be put there.

    Raises:
        ModelError: it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for killed in folder.parent.glob(f"{_SCRATCH.format(folder.name)}*"):
            shutil.rmtree(killed)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_SCRATCH.format(folder.name)))
    except OSError as error:
        raise ModelError(f"Cannot write to {folder.parent} ({error.strerror}).") from error
    try:
        model.save_pretrained(str(scratch), create_model_card=False)
        _take_over(base.folder, scratch)
        yield LocalModel(folder.name, scratch)
        # Made for their owner alone; a service may be another user.
        for path in (scratch, *scratch.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        scratch.rename(folder)
    except OSError as error:
        raise ModelError(f"Cannot write {folder} ({error.strerror}).") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_record(folder: Path, record: Mapping[str, Any], card: str) -> None:
    """Write what is said of a model into its folder: for programs, and for people."""
    (folder / ABOUT).write_text(json.dumps(record, indent=2) + "\n")
    (folder / CARD).write_text(card)


def _take_over(base: Path, folder: Path) -> None:
    """Copy what lies beside the weights; below are modules, and other forms of the weights."""
    for path in sorted(base.iterdir()):
        ours = path.name not in _NOT_OURS and path.suffix not in _WEIGHTS
        if ours and path.is_file() and not path.name.startswith("."):
            shutil.copyfile(path, folder / path.name)


def read_record(folder: Path) -> dict[str, Any] | None:
    """What an adapted model says of itself; None for any other model.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"Cannot read {path}; copy the model again.") from error
