"""Shortens a model's vectors: a smaller index that finds nearly the same.

What is kept are the directions along which the documents' vectors reach farthest, their principal
components about the origin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from database.adapt.judging import Gain, Trial, embedding, judge

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, slots=True)
class Shortened:
    """What shorter vectors cost."""

    dimension: int
    """How many numbers a vector has."""
    of: int
    """How many it had."""
    gains: tuple[Gain, ...]
    """In each trial; `general` is with all numbers here, `adapted` with those that are left."""


def shorten(
    model: "SentenceTransformer", dimension: int, trials: Sequence[Trial]
) -> tuple["SentenceTransformer", Shortened]:
    """Give a model whose vectors have fewer numbers, and say what that costs.

    Args:
        model: As `whitened` makes it.
        dimension: How many numbers are left.
        trials: What the two are put to.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    *before, last, normalize = model
    layer = cast("Dense", last)
    short = Dense(
        layer.in_features,
        dimension,
        bias=False,
        activation_function=None,
        init_weight=layer.linear.weight[:dimension].detach().clone(),
    )
    shorter = SentenceTransformer(modules=[*before, short, normalize], device=str(model.device))
    gains = tuple(judge(trial, embedding(model), embedding(shorter)) for trial in trials)
    return shorter, Shortened(dimension, layer.out_features, gains)
