"""Runs a sentence-transformers model with torch, on CUDA or the CPU."""

import importlib.util
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from utils.errors import ModelError, SettingsError
from utils.settings import Backend, Device

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = logging.getLogger(__name__)

_GPU_BATCH = 256
_CPU_BATCH = 32


def has_torch() -> bool:
    """True if torch is installed; the image that only answers lacks it."""
    return importlib.util.find_spec("torch") is not None


def torch_device(device: Device, backend: Backend) -> Device | None:
    """Where torch embeds: "cuda", "cpu", or None where OpenVINO does.

    Raises:
        SettingsError: a device was asked for that this machine lacks.
    """
    cuda = backend != "openvino" and device != "cpu" and _has_cuda()
    if device == "cuda" and not cuda:
        raise SettingsError("EMBEDDING_DEVICE: cuda asked for and no CUDA GPU found; set auto.")
    if cuda:
        return "cuda"
    return "cpu" if backend == "torch" else None


def _has_cuda() -> bool:
    """Ask the driver before torch: importing torch takes seconds that a CPU machine can save."""
    if not (Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists()):
        return False
    if not has_torch():  # as in the image that only answers, on a host with a GPU
        return False
    import torch

    return torch.cuda.is_available()


def load_torch(model: ModelFolder, device: str) -> "TorchEmbeddings":
    """Load a model's embeddings on "cuda" or "cpu".

    Raises:
        ModelError: torch is missing, or the model cannot be loaded.
    """
    if not has_torch():
        raise ModelError(
            f"There is no torch here to run {model.name} with: unset EMBEDDING_BACKEND."
        )
    batch_size = _GPU_BATCH if device == "cuda" else _CPU_BATCH
    return TorchEmbeddings(load_model(model, device), model, batch_size)


def load_model(model: ModelFolder, device: str) -> "SentenceTransformer":
    """Load a model on "cuda" or "cpu".

    Raises:
        ModelError: the model cannot be loaded.
    """
    try:
        return read_model(model, device)
    except Exception as error:  # the libraries raise errors of many types
        raise ModelError(
            f"Cannot load the embedding model in {model.folder} ({type(error).__name__}); "
            "fetch it again."
        ) from error


def read_model(model: ModelFolder, device: str) -> "SentenceTransformer":
    """Like `load_model`, with the libraries' own errors."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return SentenceTransformer(str(model.folder), device=device, local_files_only=True)


class TorchEmbeddings(Embeddings):
    """A model run by torch; if the GPU runs out of memory, it continues with half the batch."""

    def __init__(self, model: "SentenceTransformer", folder: ModelFolder, batch_size: int) -> None:
        self._model = model
        self._query_prompt, self._document_prompt = folder.query_prompt, folder.document_prompt
        self.batch_size = batch_size
        """Texts embedded at once."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages.

        Raises:
            ModelError: the GPU has too little memory for a single text.
        """
        return self._embed(texts, self._document_prompt)

    def embed_query(self, text: str) -> list[float]:
        """Embed a question.

        Raises:
            ModelError: the GPU has too little memory for it.
        """
        return self._embed([text], self._query_prompt)[0]

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed several questions."""
        return [self.embed_query(text) for text in texts]

    def _embed(self, texts: list[str], prompt: str) -> list[list[float]]:
        import torch

        # As LangChain's embeddings do, with which indexes of earlier releases were built.
        lines = [text.replace("\n", " ") for text in texts]
        while True:
            try:
                vectors: list[list[float]] = self._model.encode(
                    lines,
                    prompt=prompt,
                    batch_size=self.batch_size,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                ).tolist()
            except torch.OutOfMemoryError as error:
                if min(self.batch_size, len(texts)) <= 1:
                    raise ModelError(
                        "The GPU has no memory left for one text. Free some, or set "
                        "EMBEDDING_DEVICE=cpu."
                    ) from error
            else:
                return vectors
            # Outside the handler: there, the traceback keeps the GPU's memory allocated.
            self.batch_size //= 2
            log.warning("Out of GPU memory: going on with batches of %d", self.batch_size)
            torch.cuda.empty_cache()
