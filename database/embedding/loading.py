"""Turns texts into vectors: picks the fastest way this machine has to run the model."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.embedding.api.embeddings import ApiEmbeddings
from database.embedding.api.models import ApiModel, api_model, is_api_model
from database.embedding.model_finder import find_model
from database.embedding.model_folder import LocalModel
from database.embedding.openvino_embeddings import OpenVINOEmbeddings, has_torch
from utils.errors import ModelError, SettingsError
from utils.settings import Backend, Device, Settings

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFaceEmbeddings

log = logging.getLogger(__name__)

_GPU_BATCH = 256
_CPU_BATCH = 32


EmbeddingModel = LocalModel | ApiModel


def model_for(name: str, settings: Settings, *, building: bool = False) -> EmbeddingModel:
    """The model of a name: files on this machine or from the Hub, or an API's.

    Args:
        name: The model's name on the Hub, or `provider:model`.
        settings: Where its files lie, or how its API is reached.
        building: Whether an index is built with it: an API is then asked patiently.

    Raises:
        ModelError: one line on what is missing and how to get it.
        SettingsError: an API's name, or its key.
    """
    if is_api_model(name):
        return api_model(name, settings, building=building)
    return find_model(name, settings.embedding_model_path)


def load_embeddings(
    model: EmbeddingModel,
    *,
    device: Device = "auto",
    backend: Backend = "auto",
    cache: Path,
) -> Embeddings:
    """Load the model on CUDA where there is a GPU, else OpenVINO, else torch on the CPU.

    The order is the measured one (`make bench`). Vectors have unit length and agree between the
    backends to a cosine of 0.9999 or better; where OpenVINO has the model in int8, to about 0.99.

    Args:
        model: The model's files, or its API: then the rest does not matter.
        device: "auto" takes CUDA where there is one.
        backend: "auto" takes torch on CUDA, OpenVINO on the CPU.
        cache: Folder for OpenVINO's form of the model.

    Raises:
        ModelError: the model cannot be loaded.
        SettingsError: a device was asked for that this machine lacks.
    """
    if isinstance(model, ApiModel):
        return model.embeddings()
    chosen = torch_device(device, backend)
    if chosen:
        return _load_torch(model, chosen)
    try:
        return OpenVINOEmbeddings.load(model, cache)
    except (ImportError, ModelError) as error:
        if backend == "openvino" or not has_torch():
            raise
        log.warning("OpenVINO cannot run %s (%s); torch takes over", model.name, error)
        return _load_torch(model, "cpu")


def embed_words(embeddings: Embeddings, words: list[str]) -> list[list[float]]:
    """Embed a question's words: in one request to an API, one by one on this machine.

    Many at once would have OpenVINO compile its program for documents in a service.
    """
    if isinstance(embeddings, ApiEmbeddings):
        return embeddings.embed_documents(words)
    return [embeddings.embed_query(word) for word in words]


def prepare(model: EmbeddingModel, *, device: Device, backend: Backend, cache: Path) -> None:
    """Have OpenVINO's form of the model in the cache, for a service that has no torch to make it.

    Where torch or an API embeds, there is nothing to prepare.

    Raises:
        ModelError: the model cannot be exported.
        SettingsError: a device was asked for that this machine lacks.
    """
    if not isinstance(model, ApiModel) and not torch_device(device, backend):
        OpenVINOEmbeddings.export(model, cache)


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


def _load_torch(model: LocalModel, device: str) -> Embeddings:
    try:
        from langchain_huggingface import HuggingFaceEmbeddings
    except ImportError as error:
        raise ModelError(
            f"There is no torch here to run {model.name} with: unset EMBEDDING_BACKEND."
        ) from error

    batch = _GPU_BATCH if device == "cuda" else _CPU_BATCH
    try:
        loaded = HuggingFaceEmbeddings(
            model_name=str(model.folder),
            model_kwargs={"device": device, "local_files_only": True},
            encode_kwargs={"normalize_embeddings": True, "batch_size": batch},
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
            ModelError: the GPU has no memory for a single one.
        """
        import torch

        while True:
            try:
                return self._embeddings.embed_documents(texts)
            except torch.OutOfMemoryError as error:
                if min(self.batch_size, len(texts)) <= 1:
                    raise ModelError(
                        "The GPU has no memory left for one text. Free some, or set "
                        "EMBEDDING_DEVICE=cpu."
                    ) from error
            # Outside the handler: there, the traceback holds on to the GPU's memory.
            self._halve_batch()
            torch.cuda.empty_cache()

    def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        return self.embed_documents([text])[0]

    def _halve_batch(self) -> None:
        self._embeddings.encode_kwargs["batch_size"] = self.batch_size // 2
        log.warning("Out of GPU memory: going on with batches of %d", self.batch_size)
