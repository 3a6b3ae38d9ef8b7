"""Converts a model to an OpenVINO program in a separate process, so that torch's memory is freed.

python -m database.embedding.openvino_conversion MODEL_FOLDER PROGRAM [ADAPTER]
"""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

from database.embedding.adapter import Adapter
from database.embedding.model_folder import ModelFolder
from database.embedding.torch_embeddings import read_model
from utils.errors import ModelError
from utils.settings import PROJECT_ROOT

log = logging.getLogger(__name__)

_REPORTED = 3
"""Exit status after a reported error; Python's own is 1."""


def disable_telemetry() -> None:
    """Disable the telemetry of OpenVINO and NNCF; call it before importing them."""
    # They skip telemetry if this package cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def export_program(model: ModelFolder, program: Path) -> None:
    """Write a model as one function from tokens to unit vectors.

    Args:
        model: The model; its adapter is merged into the weights.
        program: The file of the program; its weights are written beside it.

    Raises:
        ModelError: the model cannot be read or converted, or the file cannot be written.
    """
    adapter = [str(model.adapter.path.absolute())] if model.adapter else []
    folder = str(model.folder.absolute())
    done = subprocess.run(  # noqa: S603  # our own interpreter and module
        [sys.executable, "-m", __name__, folder, str(program.absolute()), *adapter],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == _REPORTED:
        raise ModelError(done.stderr.splitlines()[-1])
    if done.returncode != 0:
        log.debug("%s", done.stderr)
        raise ModelError(
            f"Exporting the embedding model in {folder} ended with status {done.returncode}. Free "
            "memory, or set EMBEDDING_BACKEND=torch."
        )


def write_program(model: ModelFolder, path: Path) -> None:
    """Do what `export_program` does in this process, with the libraries' own errors."""
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


def main(folder: str, path: str, adapter: str | None = None) -> None:
    """Convert; if that fails, write the reason as one line and end with status _REPORTED."""
    model = ModelFolder(folder, Path(folder), Adapter(Path(adapter)) if adapter else None)
    try:
        write_program(model, Path(path))
    except ModelError as error:
        _report(str(error))
    except Exception as error:  # noqa: BLE001  # the libraries raise errors of many types
        reason = getattr(error, "strerror", None) or type(error).__name__
        _report(f"Cannot export the embedding model in {folder} to {Path(path).parent} ({reason}).")


def _report(reason: str) -> None:
    sys.stderr.write(f"{reason}\n")
    sys.exit(_REPORTED)


if __name__ == "__main__":
    main(*sys.argv[1:])
