"""A low-rank adapter of an embedding model, merged into its weights when the model is loaded.

Low-rank updates (Hu et al. 2021, arXiv:2106.09685) of some weight matrices, whole updates of some
vectors, and a whitening layer at the end:

    W' = W + B A        W: (out, in), B: (out, rank), A: (rank, in)
    b' = b + d
    x' = T x / |T x|    T: (dimension, dimension)

The file is in the safetensors format, in f16: `NAME.up` (B) and `NAME.down` (A), or `NAME.update`
(d), for a parameter NAME of the base model's weights, and `whitening` (T). Its metadata contains
`base`, the SHA-256 of the weights that it fits.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import Tensor

UP, DOWN, UPDATE, WHITENING = ".up", ".down", ".update", "whitening"
_MAX_HEADER_BYTES = 1_000_000


@dataclass(frozen=True)
class Adapter:
    """An adapter's file."""

    path: Path

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal; raises a ModelError if it cannot be read."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise self._unreadable(error.strerror) from error

    @cached_property
    def base(self) -> str:
        """SHA-256 of the weights that it fits; raises a ModelError if it cannot be read."""
        # Parsed by hand: a service without torch lacks the safetensors package.
        try:
            with self.path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(min(length, _MAX_HEADER_BYTES)))
            return str(header["__metadata__"]["base"])
        except (OSError, struct.error, ValueError, LookupError, TypeError) as error:
            raise self._unreadable(type(error).__name__) from error

    def apply(self, model: "SentenceTransformer") -> None:
        """Merge it into a loaded model, in place.

        Raises:
            ModelError: it cannot be read, or the model has no such weights.
        """
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from sentence_transformers.sentence_transformer.modules import Normalize

        try:
            tensors = {name: tensor.float() for name, tensor in load_file(self.path).items()}
            weights = weights_of(model)
            with torch.no_grad():
                for name, tensor in tensors.items():
                    if name.endswith(UPDATE):
                        weights[name.removesuffix(UPDATE)] += tensor.to(model.device)
                    elif name.endswith(UP):
                        stem = name.removesuffix(UP)
                        weights[stem] += (tensor @ tensors[stem + DOWN]).to(model.device)
            model.append(linear(tensors[WHITENING]).to(model.device))
            model.append(Normalize())
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise self._unreadable(type(error).__name__) from error

    def _unreadable(self, reason: str | None) -> ModelError:
        return ModelError(
            f"EMBEDDING_ADAPTER: {self.path} is not an adapter of this model ({reason}). Restore "
            "the file, or set EMBEDDING_ADAPTER=none."
        )


def weights_of(model: "SentenceTransformer") -> "dict[str, Tensor]":
    """The weights of a model's transformer, by their names in its file."""
    transformer: Any = model[0]
    return dict(transformer.auto_model.named_parameters())


def linear(weight: "Tensor") -> "Dense":
    """A layer that multiplies vectors by a matrix: (dimension out, dimension in)."""
    from sentence_transformers.sentence_transformer.modules import Dense

    after, before = weight.shape
    return Dense(before, after, bias=False, activation_function=None, init_weight=weight)
