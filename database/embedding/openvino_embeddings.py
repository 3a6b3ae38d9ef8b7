"""Runs a sentence-transformers model on the CPU with OpenVINO, without torch once exported."""

import importlib.util
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from utils.errors import ModelError
from utils.settings import build_command

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

log = logging.getLogger(__name__)

_BATCH_TOKENS = 800
"""Tokens per batch and stream. Measured in f32 with 512 KiB of L2 cache per core: 137 GFLOP/s with
800, 127 with 1600, 123 with 3200."""
_FEW = 4
"""Up to this number, texts are embedded like a question: in half the time, without compiling the
program for documents."""
_EXPORT_VERSION = 1
"""Increase it with every change to the exported program."""


def has_torch() -> bool:
    """True if models can be exported; the image that only answers has no torch."""
    return importlib.util.find_spec("torch") is not None


def disable_telemetry() -> None:
    """Disable the telemetry of OpenVINO and NNCF; call it before importing them."""
    # They skip telemetry if this package cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVINOEmbeddings(Embeddings):
    """A model run by OpenVINO: in int8 if its folder has such a program, else in bf16 or f32."""

    @classmethod
    def load(cls, model: ModelFolder, cache: Path) -> Self:
        """Load the model's int8 program, else its export in the cache folder, created if missing.

        Raises:
            ModelError: the model cannot be exported or loaded.
        """
        if model.query_prompt + model.document_prompt and not model.pools_prompt:
            raise ModelError("its pooling excludes the prompt, which needs torch")
        disable_telemetry()
        import openvino

        core = openvino.Core()
        with _program(model, cache) as path:
            try:
                embeddings = cls(core, core.read_model(path), model)
                embeddings.embed_query("")
            except RuntimeError as error:
                remedy = (
                    "copy the model's folder again" if model.int8 else "delete it to recreate it"
                )
                raise ModelError(f"Cannot load {path.parent}; {remedy}.") from error
        return embeddings

    @staticmethod
    def export(model: ModelFolder, cache: Path) -> None:
        """Export the model to the cache folder, unless it exists or the model has an int8 program.

        Raises:
            ModelError: the model cannot be exported.
        """
        with _program(model, cache):
            pass

    def __init__(self, core: Any, program: Any, model: ModelFolder) -> None:
        self._core = core
        self._program = program
        self._int8 = model.int8 is not None
        self._tokenizer: Tokenizer = model.tokenizer()
        self._tokenizer.enable_truncation(model.max_tokens)
        self._query_prompt, self._document_prompt = model.query_prompt, model.document_prompt
        self._thread = threading.local()
        self._compiling = threading.Lock()

    @property
    def precision(self) -> str:
        """Number format of the matrix products: "int8", "bf16" or "f32"."""
        return "int8" if self._int8 else self.arithmetic

    @property
    def arithmetic(self) -> str:
        """Number format of everything that is not int8: "bf16" or "f32"."""
        bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if bf16 else "f32"

    @cached_property
    def _for_documents(self) -> Any:
        """Compiled for many texts: each core processes its own texts."""
        return self._compile("THROUGHPUT")

    @cached_property
    def _for_queries(self) -> Any:
        """Compiled for one text: all cores process it, in two thirds of the time."""
        return self._compile("LATENCY")

    def _compile(self, hint: str) -> Any:
        config = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": self.arithmetic}
        return self._core.compile_model(self._program, "CPU", config)

    def write_int8(self, path: Path, texts: Sequence[str]) -> None:
        """Write the program with int8 matrix products, by SmoothQuant (arXiv:2211.10438).

        Args:
            path: The program's file; its weights are written beside it.
            texts: Typical texts, from which the ranges of the activations are calibrated.

        Raises:
            ModelError: NNCF cannot quantize this model.
        """
        disable_telemetry()
        inputs = [_inputs([self._tokenizer.encode(text)]) for text in texts]
        try:
            import nncf
            import openvino

            with redirect_stdout(sys.stderr):  # NNCF prints its progress
                program = nncf.quantize(
                    self._program,
                    nncf.Dataset(inputs),
                    subset_size=len(inputs),
                    model_type=nncf.ModelType.TRANSFORMER,
                    preset=nncf.QuantizationPreset.MIXED,
                )
            openvino.save_model(program, path, compress_to_fp16=False)
        except Exception as error:  # NNCF raises errors of many types
            raise ModelError(
                f"NNCF cannot quantize this model to int8 ({type(error).__name__}); omit --int8."
            ) from error

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages; texts of similar length share a batch, to reduce padding."""
        return self._embed(texts, self._document_prompt)

    def embed_query(self, text: str) -> list[float]:
        """Embed a question; thread-safe."""
        return self._infer_at_once([self._tokenizer.encode(self._query_prompt + text)])[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed several questions."""
        return self._embed(texts, self._query_prompt)

    def _embed(self, texts: list[str], prompt: str) -> list[list[float]]:
        import openvino

        if not texts:
            return []
        encodings = self._tokenizer.encode_batch_fast([prompt + text for text in texts])
        if len(texts) <= _FEW:
            return self._infer_at_once(encodings)
        order = sorted(range(len(texts)), key=lambda at: -len(encodings[at]))
        vectors: list[list[float]] = [[] for _ in texts]
        # No callback: OpenVINO's threads release it after the last result, and waiting for the GIL
        # there during interpreter shutdown aborts the process.
        queue = openvino.AsyncInferQueue(self._for_documents)
        running: dict[int, list[int]] = {}

        def collect(request: int) -> None:
            rows = queue[request].get_output_tensor().data.tolist()
            for at, vector in zip(running.pop(request), rows, strict=True):
                vectors[at] = vector

        for batch in _batches(order, encodings):
            request = queue.get_idle_request_id()  # the one that start_async takes next
            if request in running:
                collect(request)
            running[request] = batch
            queue.start_async(_inputs([encodings[at] for at in batch]))
        queue.wait_all()
        for request in list(running):
            collect(request)
        return vectors

    def _infer_at_once(self, encodings: "list[Encoding]") -> list[list[float]]:
        """Embed a few texts in one batch, with all cores."""
        if not hasattr(self._thread, "request"):
            with self._compiling:
                self._thread.request = self._for_queries.create_infer_request()
        outputs = self._thread.request.infer(_inputs(encodings))
        vectors: list[list[float]] = next(iter(outputs.values())).tolist()
        return vectors


def _batches(order: list[int], encodings: "list[Encoding]") -> list[list[int]]:
    """Group texts, longest first, into batches of about _BATCH_TOKENS tokens."""
    batches: list[list[int]] = []
    room = 0
    for at in order:
        if room < 1:
            batches.append([])
            room = max(1, _BATCH_TOKENS // max(1, len(encodings[at])))
        batches[-1].append(at)
        room -= 1
    return batches


def _inputs(encodings: "list[Encoding]") -> dict[str, np.ndarray]:
    """Token ids and attention mask, padded to the longest text: int64, (texts, tokens)."""
    longest = max(len(encoding) for encoding in encodings)
    ids = np.zeros((len(encodings), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _folder_name(model: ModelFolder) -> str:
    return f"{model.revision[:16]}-v{_EXPORT_VERSION}"


@contextmanager
def _program(model: ModelFolder, cache: Path) -> Iterator[Path]:
    """Yield the file of the model's program: its int8 program, or the export in the cache."""
    if model.int8:
        yield model.int8
        return
    with _exported(model, cache / _folder_name(model)) as folder:
        yield folder / "model.xml"


@contextmanager
def _exported(model: ModelFolder, folder: Path) -> Iterator[Path]:
    """Yield the folder of the exported model, created atomically if missing.

    If the cache is not writable, the export is deleted at the end of the block.
    """
    if (folder / "model.xml").is_file():
        yield folder
        return
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
        _write_openvino(model, scratch / "model.xml")
        scratch.chmod(0o755)  # mkdtemp permits only its owner; the service may be another user
        if scratch != folder:
            _move(scratch, folder)
        yield folder
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
    if folder.is_dir() and not (folder / "model.xml").is_file():
        shutil.rmtree(folder)  # incomplete, and it would block the rename
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / "model.xml").is_file():  # otherwise another process created it
            raise


def _write_openvino(model: ModelFolder, path: Path) -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    disable_telemetry()
    import openvino
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    class Pooled(torch.nn.Module):
        """The pipeline as one function from tokens to unit vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.pipeline = SentenceTransformer(
                str(model.folder), device="cpu", local_files_only=True
            )

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
