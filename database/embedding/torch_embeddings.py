"""Runs a sentence-transformers model with torch, on CUDA or the CPU."""

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from utils.errors import ModelError, SettingsError
from utils.settings import Backend, Device

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFaceEmbeddings
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
    batch_size = _GPU_BATCH if device == "cuda" else _CPU_BATCH
    options = {"normalize_embeddings": True, "batch_size": batch_size}
    try:
        with _loading(model):
            _hide_progress()
            from langchain_huggingface import HuggingFaceEmbeddings

            loaded = HuggingFaceEmbeddings(
                model_name=str(model.folder),
                model_kwargs={"device": device, "local_files_only": True},
                encode_kwargs=options | {"prompt": model.document_prompt},
                query_encode_kwargs=options | {"prompt": model.query_prompt},
            )
            if model.adapter:
                model.adapter.apply(loaded._client)  # noqa: SLF001  # LangChain offers no access
    except ImportError as error:
        raise ModelError(
            f"There is no torch here to run {model.name} with: unset EMBEDDING_BACKEND."
        ) from error
    return TorchEmbeddings(loaded)


def load_model(model: ModelFolder, device: str) -> "SentenceTransformer":
    """Load a model on "cuda" or "cpu".

    Raises:
        ModelError: the model cannot be loaded.
    """
    with _loading(model):
        return read_model(model, device)


def read_model(model: ModelFolder, device: str) -> "SentenceTransformer":
    """Like `load_model`, with the libraries' own errors."""
    _hide_progress()
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(model.folder), device=device, local_files_only=True)
    if model.adapter:
        model.adapter.apply(loaded)
    return loaded


@contextmanager
def _loading(model: ModelFolder) -> Iterator[None]:
    """Translate the errors of loading a model, except that of a missing package."""
    try:
        yield
    except (ImportError, ModelError):
        raise
    except Exception as error:  # the libraries raise errors of many types
        raise ModelError(
            f"Cannot load the embedding model in {model.folder} ({type(error).__name__}); "
            "fetch it again."
        ) from error


def _hide_progress() -> None:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class TorchEmbeddings(Embeddings):
    """LangChain's embeddings of a model run by torch, with half the batch if the GPU runs out."""

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
        import torch

        while True:
            try:
                return self._embeddings.embed_documents(texts)
            except torch.OutOfMemoryError as error:
                if min(self.batch_size, len(texts)) <= 1:
                    raise _out_of_memory() from error
            # Outside the handler: there, the traceback keeps the GPU's memory allocated.
            self._embeddings.encode_kwargs["batch_size"] = self.batch_size // 2
            log.warning("Out of GPU memory: continuing with batches of %d", self.batch_size)
            torch.cuda.empty_cache()

    def embed_query(self, text: str) -> list[float]:
        """Embed a question.

        Raises:
            ModelError: the GPU has too little memory for it.
        """
        import torch

        try:
            return self._embeddings.embed_query(text)
        except torch.OutOfMemoryError as error:
            raise _out_of_memory() from error

    def embed_queries(self, texts: list[str]) -> list[list[float]]:
        """Embed several questions."""
        return [self.embed_query(text) for text in texts]


def _out_of_memory() -> ModelError:
    return ModelError(
        "The GPU has no memory left for one text. Free some, or set EMBEDDING_DEVICE=cpu."
    )
