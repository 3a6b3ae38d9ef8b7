"""Evens out a model's vectors: what nearly all of the documents share tells none of them apart.

A general model puts the passages of one field close together, along few directions. A last layer
divides each direction by how far passages and questions reach along it: the root of an eigenvalue
of their vectors' second moment. That is whitening (Su et al. 2021, arXiv:2103.15316) about the
origin: with the mean taken away, as they do it, less was found. First the moment is drawn most of
the way towards a sphere's (shrinkage; Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), so
that directions of which the documents say next to nothing are not blown up.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch import Tensor
    from torch.nn import Module

TEXTS = 1000
"""So many passages and as many questions show the directions; more change nothing any more."""
SHRUNK = 0.9
"""How much of the second moment is the sphere's. Measured: at 0.5 dense search of the guide finds
more, and all of retrieval of the API reference clearly less; at 0.95 little is gained any more."""


def whitened(model: "SentenceTransformer", texts: Sequence[str]) -> "SentenceTransformer":
    """Give a model that evens out what another makes of texts; its vectors have unit length again.

    The last layer's directions are in order, the one along which the documents reach farthest
    first: see `shorten`.

    Args:
        model: Gives the vectors. Its weights are shared, not copied.
        texts: Passages and questions such as it will embed.
    """
    import torch
    from sentence_transformers.sentence_transformer.modules import Normalize

    vectors = model.encode(
        list(texts), normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
    ).double()
    count, dimension = vectors.shape
    # Times the dimension, for a sphere's would be 1 along each direction then.
    moment = (vectors.T @ vectors).cpu() * dimension / count
    reach, directions = (tensor.flip(-1) for tensor in torch.linalg.eigh(moment))
    evened = directions / (SHRUNK + (1 - SHRUNK) * reach).sqrt()
    return put_together([*model, linear(evened.T.float().contiguous()), Normalize()], like=model)


def linear(weight: "Tensor") -> "Dense":
    """Make a layer that multiplies vectors with a matrix, (numbers out, numbers in)."""
    from sentence_transformers.sentence_transformer.modules import Dense

    after, before = weight.shape
    return Dense(before, after, bias=False, activation_function=None, init_weight=weight)


def put_together(modules: "Iterable[Module]", like: "SentenceTransformer") -> "SentenceTransformer":
    """Make a model of modules, which in all else is like another: its prompts, its place."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        modules=list(modules),
        device=str(like.device),
        prompts=cast("dict[str, str]", like.prompts),
        default_prompt_name=like.default_prompt_name,
        similarity_fn_name=like.similarity_fn_name,
    )
    model.module_kwargs = like.module_kwargs
    return model
