"""Whitening and dimension reduction of a model's vectors, as a linear last layer.

A general model puts the passages of one field close together, along few directions. Whitening (Su
et al. 2021, arXiv:2103.15316) divides each direction by the spread of the vectors along it:

    M = (d / n) X'X = U diag(m) U'                second moment of n unit vectors X, dimension d
    W = diag((s + (1 - s) m)^(-1/2)) U'           s = SHRUNK; the layer maps x to W x / |W x|

Unlike in the paper, the mean is not subtracted: that found less. s shrinks M towards the identity,
the moment of a sphere (Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4), so that directions
with little evidence are not amplified. U is sorted by m, descending: the first k rows of W are the
principal components about the origin, which `shorten` keeps.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from database.adapting.evaluation import Gain
from database.embedding.adapter import linear

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense
    from torch.nn import Module

TEXTS = 1000
"""Passages, and as many questions, from which the directions are computed; more change nothing."""
SHRUNK = 0.9
"""Shrinkage s. Measured: at 0.5 dense search finds more in the guide, but the whole retrieval finds
clearly less in the API reference; at 0.95 little is gained."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """The cost of shorter vectors."""

    dimension: int
    of: int
    """The dimension before."""
    gains: tuple[Gain, ...]
    """Per trial; `general` is at full dimension here, `adapted` at the reduced one."""


def whiten(model: "SentenceTransformer", texts: Sequence[str]) -> "SentenceTransformer":
    """Append a whitening layer, fitted to typical texts, and normalise; the weights are shared."""
    import torch
    from sentence_transformers.sentence_transformer.modules import Normalize

    vectors = model.encode(
        list(texts), normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
    ).double()
    count, dimension = vectors.shape
    # Scaled by the dimension, so that a sphere's moment is the identity.
    second_moment = (vectors.T @ vectors).cpu() * dimension / count
    moments, directions = (tensor.flip(-1) for tensor in torch.linalg.eigh(second_moment))
    weight = directions / (SHRUNK + (1 - SHRUNK) * moments).sqrt()
    return assemble([*model, linear(weight.T.float().contiguous()), Normalize()], like=model)


def shorten(model: "SentenceTransformer", dimension: int) -> "SentenceTransformer":
    """Reduce a whitened model's vectors to their first `dimension` principal components."""
    *before, last, normalize = model
    weight = cast("Dense", last).linear.weight[:dimension].detach().clone()
    return assemble([*before, linear(weight), normalize], like=model)


def assemble(modules: "Iterable[Module]", like: "SentenceTransformer") -> "SentenceTransformer":
    """Make a model of modules, with the prompts, device and options of another."""
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
