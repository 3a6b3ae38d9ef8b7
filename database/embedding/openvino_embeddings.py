"""Runs a sentence-transformers model on the CPU with OpenVINO, without torch once exported."""

import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from database.embedding.openvino_conversion import disable_telemetry
from database.embedding.openvino_export import program_of
from utils.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_BATCH_TOKENS = 800
"""Tokens per batch and stream. Measured in f32 with 512 KiB of L2 cache per core: 137 GFLOP/s with
800, 127 with 1600, 123 with 3200."""
_LENGTH_STEP = 16
"""Tokens; the lengths of batches are multiples of it, as OpenVINO keeps memory for each shape and
compiles it anew: 600 texts of random lengths took mpnet's program 0.93 instead of 1.31 GB, at 3,600
instead of 3,000 tokens per second."""
_FEW = 4
"""Up to this number, texts are embedded like a question: in half the time, without compiling the
program for documents."""


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
        with program_of(model, cache) as path:
            try:
                embeddings = cls(core, core.read_model(path), model)
                embeddings.embed_query("")
            except RuntimeError as error:
                remedy = (
                    "copy the model's folder again" if model.int8 else "delete it to recreate it"
                )
                raise ModelError(f"Cannot load {path.parent}; {remedy}.") from error
        return embeddings

    def __init__(self, core: Any, program: Any, model: ModelFolder) -> None:
        self._core = core
        self._program = program
        self._int8 = model.int8 is not None
        self._tokenizer: Tokenizer = model.tokenizer()
        self._tokenizer.enable_truncation(model.max_tokens)
        self._max_tokens = model.max_tokens
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
        encodings = [self._tokenizer.encode(text) for text in texts]
        inputs = [_inputs([encoding], len(encoding)) for encoding in encodings]
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

        for batch in self._batches(order, encodings):
            request = queue.get_idle_request_id()  # the one that start_async takes next
            if request in running:
                collect(request)
            running[request] = batch
            queue.start_async(self._padded([encodings[at] for at in batch]))
        queue.wait_all()
        for request in list(running):
            collect(request)
        return vectors

    def _infer_at_once(self, encodings: "list[Encoding]") -> list[list[float]]:
        """Embed a few texts in one batch, with all cores."""
        if not hasattr(self._thread, "request"):
            with self._compiling:
                self._thread.request = self._for_queries.create_infer_request()
        outputs = self._thread.request.infer(self._padded(encodings))
        vectors: list[list[float]] = next(iter(outputs.values())).tolist()
        return vectors

    def _batches(self, order: list[int], encodings: "list[Encoding]") -> list[list[int]]:
        """Group texts, longest first, into batches of about _BATCH_TOKENS tokens."""
        batches: list[list[int]] = []
        room = 0
        for at in order:
            if room < 1:
                batches.append([])
                room = max(1, _BATCH_TOKENS // self._padded_length(len(encodings[at])))
            batches[-1].append(at)
            room -= 1
        return batches

    def _padded(self, encodings: "list[Encoding]") -> dict[str, np.ndarray]:
        return _inputs(encodings, self._padded_length(max(map(len, encodings))))

    def _padded_length(self, tokens: int) -> int:
        steps = -(-max(tokens, 1) // _LENGTH_STEP)  # an empty text may have no tokens
        return min(steps * _LENGTH_STEP, self._max_tokens)


def _inputs(encodings: "list[Encoding]", length: int) -> dict[str, np.ndarray]:
    """Token ids and attention mask: int64, (texts, length)."""
    ids = np.zeros((len(encodings), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
    return {"input_ids": ids, "attention_mask": mask}
