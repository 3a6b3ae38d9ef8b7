"""Exports a sentence-transformers model to OpenVINO, once, into a cache folder."""

import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database.embedding.model_folder import ModelFolder
from database.embedding.torch_embeddings import has_torch, read_model
from utils.errors import ModelError
from utils.settings import build_command

log = logging.getLogger(__name__)

_FILE = "model.xml"
_EXPORT_VERSION = 1
"""Increase it with every change to the exported program."""


def disable_telemetry() -> None:
    """Disable the telemetry of OpenVINO and NNCF; call it before importing them."""
    # They skip telemetry if this package cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


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
        _write_openvino(model, scratch / _FILE)
        scratch.chmod(0o755)  # mkdtemp permits only its owner; the service may be another user
        if scratch != folder:
            _move(scratch, folder)
        yield folder / _FILE
    except ModelError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ModelError(
            f"Cannot export the embedding model in {model.folder} to {folder} ({reason})."
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


def _write_openvino(model: ModelFolder, path: Path) -> None:
    disable_telemetry()
    import openvino
    import torch

    class Pooled(torch.nn.Module):
        """The pipeline as one function from tokens to unit vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.pipeline = read_model(model, "cpu")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors = self.pipeline(features)["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, dim=1)

    # Two tensors, because the same one twice would be exported as one input.
    example = (torch.ones(2, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64))
    texts = torch.export.Dim("texts", min=1, max=4096)
    tokens = torch.export.Dim("tokens", min=2, max=model.max_tokens)
    shape = {0: texts, 1: tokens}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export's own, about pytrees
        program = torch.export.export(Pooled().eval(), example, dynamic_shapes=(shape, shape))
        converted = openvino.convert_model(program)
    openvino.save_model(converted, path, compress_to_fp16=False)
