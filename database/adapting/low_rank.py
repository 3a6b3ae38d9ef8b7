"""Writes an adapted model as a low-rank adapter (`database.embedding.adapter`) of its base model.

The update of each weight matrix is replaced by the largest terms of its singular value
decomposition, of all matrices together: those with the largest s^2 per number stored,

    W' - W = sum over k of s_k u_k v_k'

which minimizes the squared error of all updates for the size of the file (Eckart and Young 1936,
doi:10.1007/BF02288367, for each matrix).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from database.embedding.adapter import DOWN, UP, UPDATE, WHITENING, weights_of
from database.embedding.local_model import LocalModel
from database.embedding.torch_embeddings import load_model
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import Tensor

MAX_BYTES = 3_980_000
"""Size of the tensors: with the header, at most 4 MB."""
_BYTES = 2
"""Per number, in f16."""


def write_adapter(
    base: LocalModel,
    adapted: LocalModel,
    path: Path,
    provenance: Mapping[str, str],
    max_bytes: int = MAX_BYTES,
) -> float:
    """Write the difference of two models; returns the share of its squared norm that is kept.

    Args:
        base: The model that was adapted.
        adapted: The model made of it by `database.adapting`, without a change of dimension.
        path: The adapter's file.
        provenance: Further metadata of the file.
        max_bytes: Maximum size of the tensors.

    Raises:
        ModelError: a model cannot be loaded, they do not fit, or the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if not adapted.layers or adapted.dimension != base.dimension:
        raise ModelError(f"{adapted.name} has no whitening layer of {base.dimension} dimensions.")
    before, after = (load_model(model, "cpu") for model in (base, adapted))
    layer = cast("Dense", after[-2])
    tensors = {WHITENING: layer.linear.weight.detach().half()}
    old = weights_of(before)
    matrices: dict[str, Tensor] = {}
    for name, new in weights_of(after).items():
        update = (new - old[name]).detach()
        if not update.any():
            continue
        if update.ndim == 1:
            tensors[name + UPDATE] = update.half()
        else:
            matrices[name] = update
    room = max_bytes - sum(tensor.numel() * _BYTES for tensor in tensors.values())
    factors, kept = _factorize(matrices, room // _BYTES)
    metadata = dict(provenance) | {"base": base.weights_digest}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors | factors, path, metadata)
        path.chmod(0o644)  # safetensors permits only its owner
    except (OSError, SafetensorError) as error:
        raise ModelError(f"Cannot write {path} ({type(error).__name__}).") from error
    return kept


def _factorize(matrices: "Mapping[str, Tensor]", numbers: int) -> "tuple[dict[str, Tensor], float]":
    """Factors of matrices, of at most `numbers` numbers together, and the share of s^2 kept."""
    import torch

    parts = {
        name: torch.linalg.svd(matrix, full_matrices=False) for name, matrix in matrices.items()
    }
    terms = sorted(
        (
            (float(value) ** 2 / sum(matrices[name].shape), name, float(value) ** 2)
            for name, (_, values, _) in parts.items()
            for value in values
        ),
        reverse=True,
    )
    ranks = dict.fromkeys(matrices, 0)
    kept = whole = 0.0
    for _, name, square in terms:
        whole += square
        cost = sum(matrices[name].shape)
        if cost <= numbers:
            numbers -= cost
            ranks[name] += 1
            kept += square
    factors: dict[str, Tensor] = {}
    for name, rank in ranks.items():
        if rank:
            left, values, right = parts[name]
            # Both factors get the root of the values, so that neither underflows in f16.
            scale = values[:rank].sqrt()
            factors[name + UP] = (left[:, :rank] * scale).half().contiguous()
            factors[name + DOWN] = (scale[:, None] * right[:rank]).half().contiguous()
    return factors, kept / whole
