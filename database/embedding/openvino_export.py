"""Exports a sentence-transformers model to OpenVINO, once, into a cache folder."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database.embedding.model_folder import ModelFolder
from database.embedding.openvino_conversion import export_program
from database.embedding.torch_embeddings import has_torch
from utils.errors import ModelError
from utils.settings import build_command

log = logging.getLogger(__name__)

_FILE = "model.xml"
_EXPORT_VERSION = 1
"""Increase it with every change to the exported program."""


@contextmanager
def program_of(model: ModelFolder, cache: Path) -> Iterator[Path]:
    """Yield the file of the model's program: its int8 program, or its export, created if missing.

    If the cache is not writable, the export is deleted at the end of the block.

    Raises:
        ModelError: the model cannot be exported.
    """
    program = model.int8 or cache / f"{model.revision[:16]}-v{_EXPORT_VERSION}" / _FILE
    if program.is_file():
        yield program
        return
    folder = program.parent
    if not has_torch():
        raise ModelError(
            f"No OpenVINO export of {model.name} at {folder}, and no torch to create it. "
            f"Where torch is installed, run: {build_command()}"
        )
    log.info("Exporting %s for OpenVINO, once", model.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".exporting-"))
    except OSError:
        log.warning("%s cannot be written; the model is exported at every start", folder.parent)
        folder = scratch = Path(tempfile.mkdtemp(prefix="openvino-"))
    try:
        export_program(model, scratch / _FILE)
        scratch.chmod(0o755)  # mkdtemp permits only its owner; the service may be another user
        if scratch != folder:
            _move(scratch, folder)
        yield folder / _FILE
    except OSError as error:
        raise ModelError(
            f"Cannot export the embedding model in {model.folder} to {folder} ({error.strerror})."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    if folder.is_dir() and not (folder / _FILE).is_file():
        shutil.rmtree(folder)  # incomplete, and it would block the rename
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / _FILE).is_file():  # otherwise another process created it
            raise
