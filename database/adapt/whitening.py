"""Evens out a model's vectors: what nearly all of the documents share tells none of them apart.

A general model puts the passages of one field close together, along few directions. A last layer
divides each direction by how far the documents' vectors reach along it: the root of an eigenvalue
of their second moment (whitening; Su et al. 2021, arXiv:2103.15316). First the moment is drawn most
of the way towards a sphere's (shrinkage; Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4),
so that directions of which the documents say next to nothing are not blown up.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXTS = 1000
"""So many passages and as many questions show the directions; more change nothing any more."""
_SHRUNK = 0.9
"""How much of the second moment is the sphere's. At 0.75 dense search of the guide finds more, and
all of retrieval of the API reference less; at 0.95 hardly anything is left of either."""


def whitened(model: "SentenceTransformer", texts: Sequence[str]) -> "SentenceTransformer":
    """Give a model that evens out what another makes of texts; its vectors have unit length again.

    The last layer's directions are in order, the one along which the documents reach farthest
    first: see `shorten`.

    Args:
        model: Gives the vectors. Its weights are shared, not copied.
        texts: Passages and questions such as it will embed.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize

    vectors = model.encode(
        list(texts), normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
    ).double()
    count, dimension = vectors.shape
    # Times the dimension, for a sphere's would be 1 along each direction then.
    moment = (vectors.T @ vectors).cpu() * dimension / count
    reach, directions = (tensor.flip(-1) for tensor in torch.linalg.eigh(moment))
    evened = directions / (_SHRUNK + (1 - _SHRUNK) * reach).sqrt()
    layer = Dense(
        dimension,
        dimension,
        bias=False,
        activation_function=None,
        init_weight=evened.T.float().contiguous(),
    )
    return SentenceTransformer(modules=[*model, layer, Normalize()], device=str(model.device))
