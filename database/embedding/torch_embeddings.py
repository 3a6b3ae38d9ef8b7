"""Runs a sentence-transformers model with torch, on CUDA or the CPU."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from database.embedding.openvino_embeddings import has_torch
from utils.errors import ModelError, SettingsError
from utils.settings import Backend, Device

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFaceEmbeddings

log = logging.getLogger(__name__)

_GPU_BATCH = 256
_CPU_BATCH = 32

T = TypeVar("T")


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


def load_torch(model: ModelFolder, device: str) -> Embeddings:
    """Load a model on "cuda" or "cpu".

    Raises:
        ModelError: torch is missing, or the model cannot be loaded.
    """
    try:
        from langchain_huggingface import HuggingFaceEmbeddings
    except ImportError as error:
        raise ModelError(
            f"There is no torch here to run {model.name} with: unset EMBEDDING_BACKEND."
        ) from error

    batch = _GPU_BATCH if device == "cuda" else _CPU_BATCH
    options = {"normalize_embeddings": True, "batch_size": batch}
    try:
        loaded = HuggingFaceEmbeddings(
            model_name=str(model.folder),
            model_kwargs={"device": device, "local_files_only": True},
            encode_kwargs=options | {"prompt": model.document_prompt},
            query_encode_kwargs=options | {"prompt": model.query_prompt},
        )
    except Exception as error:  # the libraries below raise whatever they like
        raise ModelError(
            f"Cannot load the embedding model in {model.folder} ({type(error).__name__}); "
            "fetch it again."
        ) from error
    return ShrinkingBatches(loaded)


class ShrinkingBatches(Embeddings):
    """Torch embeddings that halve their batch and go on when the GPU runs out of memory."""

    def __init__(self, embeddings: "HuggingFaceEmbeddings") -> None:
        self._embeddings = embeddings

    @property
    def batch_size(self) -> int:
        """Texts embedded at once."""
        return int(self._embeddings.encode_kwargs["batch_size"])

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages.

        Raises:
            ModelError: the GPU has too little memory for a single text.
        """
        return self._shrinking(len(texts), lambda: self._embeddings.embed_documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """Embed a question.

        Raises:
            ModelError: the GPU has too little memory for it.
        """
        return self._shrinking(1, lambda: self._embeddings.embed_query(text))

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed several questions."""
        return [self.embed_query(text) for text in texts]

    def _shrinking(self, texts: int, embed: Callable[[], T]) -> T:
        import torch

        while True:
            try:
                return embed()
            except torch.OutOfMemoryError as error:
                if min(self.batch_size, texts) <= 1:
                    raise ModelError(
                        "The GPU has no memory left for one text. Free some, or set "
                        "EMBEDDING_DEVICE=cpu."
                    ) from error
            # Outside the handler: there, the traceback keeps the GPU's memory allocated.
            self._halve_batch()
            torch.cuda.empty_cache()

    def _halve_batch(self) -> None:
        self._embeddings.encode_kwargs["batch_size"] = self.batch_size // 2
        log.warning("Out of GPU memory: going on with batches of %d", self.batch_size)
