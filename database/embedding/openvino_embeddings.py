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
"""Tokens embedded at once by one stream. Measured in f32 on 512 KiB of second-level cache a core:
137 GFLOP/s with 800, 127 with 1600, 123 with 3200."""
_FEW = 4
"""So few texts are embedded like a question: it takes half the time, and no second program."""
_EXPORT_VERSION = 1
"""Raise it with every change to what is exported."""


def has_torch() -> bool:
    """Whether models can be exported here; the image that only answers does without."""
    return importlib.util.find_spec("torch") is not None


def report_to_nobody() -> None:
    """Keep OpenVINO and NNCF from reporting their use to Google Analytics; before an import."""
    # Where their reporting package cannot be imported, they do without.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


class OpenVINOEmbeddings(Embeddings):
    """A model that OpenVINO runs: its own program in int8, else bf16 or f32 as processors have."""

    @classmethod
    def load(cls, model: ModelFolder, cache: Path) -> Self:
        """Load the model's own program in int8; else the exported one from the cache folder.

        It is exported there the first time.

        Raises:
            ModelError: the model cannot be exported or loaded.
        """
        if model.query_prompt + model.document_prompt and not model.pools_prompt:
            raise ModelError("its pooling leaves out the prompt, which needs torch")
        report_to_nobody()
        import openvino

        core = openvino.Core()
        with _program(model, cache) as path:
            try:
                embeddings = cls(core, core.read_model(path), model)
                embeddings.embed_query("")
            except RuntimeError as error:
                way_on = (
                    "copy the model's folder again" if model.int8 else "delete it, it is made anew"
                )
                raise ModelError(f"Cannot load {path.parent}; {way_on}.") from error
        return embeddings

    @staticmethod
    def export(model: ModelFolder, cache: Path) -> None:
        """Write the exported model to the cache folder, unless it is there or not needed.

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
        """The number format of its products: "int8", "bf16" or "f32"."""
        return "int8" if self._int8 else self.arithmetic

    @property
    def arithmetic(self) -> str:
        """The number format of all that is not int8: "bf16" or "f32"."""
        bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if bf16 else "f32"

    @cached_property
    def _for_documents(self) -> Any:
        """Compiled to embed many texts: each core works on texts of its own."""
        return self._compile("THROUGHPUT")

    @cached_property
    def _for_queries(self) -> Any:
        """Compiled to embed one text: all cores work on it, in two thirds of the time."""
        return self._compile("LATENCY")

    def _compile(self, hint: str) -> Any:
        config = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": self.arithmetic}
        return self._core.compile_model(self._program, "CPU", config)

    def write_int8(self, path: Path, texts: Sequence[str]) -> None:
        """Write the program with its products in int8; SmoothQuant (arXiv:2211.10438) finds how.

        Args:
            path: Where the program goes; its weights go beside it.
            texts: Such as it will embed: the ranges of its numbers are taken from them.

        Raises:
            ModelError: it cannot be done with this model.
        """
        report_to_nobody()
        inputs = [_inputs([self._tokenizer.encode(text)]) for text in texts]
        try:
            import nncf
            import openvino

            with redirect_stdout(sys.stderr):  # NNCF shows how far it is
                program = nncf.quantize(
                    self._program,
                    nncf.Dataset(inputs),
                    subset_size=len(inputs),
                    model_type=nncf.ModelType.TRANSFORMER,
                    preset=nncf.QuantizationPreset.MIXED,
                )
            openvino.save_model(program, path, compress_to_fp16=False)
        except Exception as error:  # whatever a model of another kind makes of it
            raise ModelError(
                f"NNCF cannot bring this model to int8 ({type(error).__name__}); do without."
            ) from error

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages; texts of similar length share a batch, to save padding."""
        return self._embed(texts, self._document_prompt)

    def embed_query(self, text: str) -> list[float]:
        """Embed a question; safe to call from any number of threads."""
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
        # No callback: OpenVINO's threads release it after the last result, and one that waits for
        # the GIL while the interpreter shuts down aborts the process.
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
        """Embed a text or a few in one batch, with all cores."""
        if not hasattr(self._thread, "request"):
            with self._compiling:
                self._thread.request = self._for_queries.create_infer_request()
        outputs = self._thread.request.infer(_inputs(encodings))
        vectors: list[list[float]] = next(iter(outputs.values())).tolist()
        return vectors


def _batches(order: list[int], encodings: "list[Encoding]") -> list[list[int]]:
    """Group texts, longest first, so that each group fills about the same number of tokens."""
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
    """Token ids and mask, padded to the longest: int64, (texts, tokens)."""
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
    """Give the file of the model's program: its own in int8, or the one exported to the cache."""
    if model.int8:
        yield model.int8
        return
    with _exported(model, cache / _folder_name(model)) as folder:
        yield folder / "model.xml"


@contextmanager
def _exported(model: ModelFolder, folder: Path) -> Iterator[Path]:
    """Give the folder of the model in OpenVINO's form, written first if need be, whole or not.

    Where the cache cannot be written, the export lasts for the block only.
    """
    if (folder / "model.xml").is_file():
        yield folder
        return
    if not has_torch():
        raise ModelError(
            f"OpenVINO's form of {model.name} is not at {folder}, and there is no torch here to "
            f"make it. Where torch is installed, run: {build_command()}"
        )
    log.info("Exporting %s for OpenVINO, once", model.name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".exporting-"))
    except OSError:
        log.warning("%s cannot be written: the model is exported at every start", folder.parent)
        folder = scratch = Path(tempfile.mkdtemp(prefix="openvino-"))
    try:
        _write_openvino(model, scratch / "model.xml")
        scratch.chmod(0o755)  # tempfile's is for its owner alone; a service may be another user
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
        shutil.rmtree(folder)  # of no use to anyone, and in the way
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / "model.xml").is_file():  # else another process was first, as good
            raise


def _write_openvino(model: ModelFolder, path: Path) -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    report_to_nobody()
    import openvino
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    class Pooled(torch.nn.Module):
        """The whole pipeline as one function from tokens to unit vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.pipeline = SentenceTransformer(
                str(model.folder), device="cpu", local_files_only=True
            )

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            vectors = self.pipeline(features)["sentence_embedding"]
            return torch.nn.functional.normalize(vectors, dim=1)

    # Two tensors: one given twice would be exported as one input.
    example = (torch.ones(2, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64))
    texts = torch.export.Dim("texts", min=1, max=4096)
    tokens = torch.export.Dim("tokens", min=2, max=model.max_tokens)
    shape = {0: texts, 1: tokens}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export's own, of its pytrees
        program = torch.export.export(Pooled().eval(), example, dynamic_shapes=(shape, shape))
        converted = openvino.convert_model(program)
    openvino.save_model(converted, path, compress_to_fp16=False)
