"""An embedding model whose files are on this machine, and how to load it."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from database.embedding.model_folder import ModelFolder
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from database.embedding.openvino_export import program_of
from database.embedding.torch_embeddings import has_torch, load_torch, torch_device
from utils.errors import ModelError
from utils.settings import Backend, Device

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalModel(ModelFolder):
    """A sentence-transformers model folder; the counterpart of `ApiModel`."""

    @staticmethod
    def settings_hint(name: str) -> str:
        """What to set so that the service uses the model of this name."""
        return f"EMBEDDING_MODEL_NAME={name}"

    def without_adapter(self) -> "LocalModel | None":
        """The same model without its adapter; None if it has none."""
        return replace(self, adapter=None) if self.adapter else None

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        return self.tokenizer()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    @property
    def max_chunk_tokens(self) -> int:
        """Tokens of the longest chunk that the model reads whole, beside its document prompt."""
        special: int = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        prompt = self.count_tokens(self.document_prompt) if self.document_prompt else 0
        return self.max_tokens - special - prompt

    def window(self, chunk_size: int, default: int) -> int:
        """Chunks to embed and store at a time: the default, whatever their size."""
        return default

    def load_embeddings(
        self, *, device: Device = "auto", backend: Backend = "auto", cache: Path
    ) -> Embeddings:
        """Load the model on CUDA if there is a GPU, else with OpenVINO, else with torch on the CPU.

        The order is the measured one (`make bench`). Vectors have unit length; the backends agree
        to a cosine of 0.9999 or better, and to about 0.99 if OpenVINO has the model in int8.

        Args:
            device: "auto" uses CUDA if available.
            backend: "auto" uses torch on CUDA and OpenVINO on the CPU.
            cache: Folder of models exported to OpenVINO.

        Raises:
            ModelError: the model cannot be loaded.
            SettingsError: this machine lacks the device.
        """
        chosen = torch_device(device, backend)
        if chosen:
            return load_torch(self, chosen)
        try:
            return OpenVINOEmbeddings.load(self, cache)
        except (ImportError, ModelError) as error:
            if backend == "openvino" or not has_torch():
                raise
            log.warning("OpenVINO cannot run %s (%s); torch takes over", self.name, error)
            return load_torch(self, "cpu")

    def prepare(self, *, device: Device, backend: Backend, cache: Path) -> None:
        """Export the model to the cache if OpenVINO will run it, for a service without torch.

        Raises:
            ModelError: the model cannot be exported.
            SettingsError: this machine lacks the device.
        """
        if not torch_device(device, backend):
            with program_of(self, cache):
                pass
