"""Shortens a model's vectors: a smaller index that finds nearly the same.

What is kept are the directions along which the vectors of passages and questions reach farthest,
their principal components about the origin.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from database.adapting.evaluation import Gain
from database.adapting.whitening import linear, put_together

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense


@dataclass(frozen=True, slots=True)
class Shortened:
    """What shorter vectors cost."""

    dimension: int
    """How many numbers a vector has."""
    of: int
    """How many it had."""
    gains: tuple[Gain, ...]
    """In each trial; `general` is with all numbers here, `adapted` with those that are left."""


def shorten(model: "SentenceTransformer", dimension: int) -> "SentenceTransformer":
    """Give a model whose vectors have fewer numbers.

    Args:
        model: As `whitened` makes it.
        dimension: How many numbers are left.
    """
    *before, last, normalize = model
    weight = cast("Dense", last).linear.weight[:dimension].detach().clone()
    return put_together([*before, linear(weight), normalize], like=model)
