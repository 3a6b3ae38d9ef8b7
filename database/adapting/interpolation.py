"""Weight interpolation between the general and the trained model, so that nothing general is lost.

WiSE-FT (Wortsman et al. 2022, arXiv:2109.01903): each weight becomes

    w = (1 - a) w_general + a w_trained

for the largest share a of SHARES at which nDCG@10 on general questions falls by no more than
MAX_NDCG_LOSS.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from database.adapting.evaluation import FloatArray, Trial, compare_ndcg, embedder_of, ndcg
from database.adapting.whitening import whiten

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares a of the trained weights, tried in this order."""


def blend(
    trained: "SentenceTransformer",
    general: "SentenceTransformer",
    texts: Sequence[str],
    trial: Trial,
    before: FloatArray,
    report: Callable[[str], None],
) -> tuple["SentenceTransformer", float, FloatArray]:
    """Interpolate a trained model, in place, with the general one; whiten it for typical texts.

    Returns the whitened model, the largest share a at which the trial loses no more than
    MAX_NDCG_LOSS, or the smallest share, and the trial's nDCG@10 of that model; `before` is that
    of the general one. Each share below 1 is reported.
    """
    ends = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    starts = [general.state_dict()[name] for name in ends]
    for share in SHARES:
        if share < 1:
            report(f"{trial.name}: nDCG@10 fell too much; trying share {share:g}")
            trained.load_state_dict(
                {
                    name: start.lerp(end, share) if end.is_floating_point() else end
                    for (name, end), start in zip(ends.items(), starts, strict=True)
                }
            )
        model = whiten(trained, texts)
        after = ndcg(trial, embedder_of(model))
        if not compare_ndcg(trial, before, after).is_excessive_loss:
            break
    return model, share, after
