"""Weight interpolation between the general and the trained model, so that nothing general is lost.

WiSE-FT (Wortsman et al. 2022, arXiv:2109.01903): each weight becomes

    w = (1 - a) w_general + a w_trained

for the largest share a of SHARES at which nDCG@10 on general questions falls by no more than
MAX_NDCG_LOSS.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from database.adapting.evaluation import Trial, compare_ndcg, embedding, lost, ndcg
from database.adapting.whitening import whitened

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares a of the trained weights, tried in this order."""


def blend(
    trained: "SentenceTransformer",
    general: "SentenceTransformer",
    texts: Sequence[str],
    trial: Trial,
    say: Callable[[str], None],
) -> tuple["SentenceTransformer", float]:
    """Interpolate a trained model with the general one until a trial loses little, and whiten it.

    Args:
        trained: Its weights are changed in place.
        general: The model it was trained from.
        texts: Texts like those it will embed, for whitening.
        trial: The trial whose nDCG@10 may fall by MAX_NDCG_LOSS.
        say: Called with one line per step back.

    Returns:
        The whitened model, and its share a; the smallest share even if it loses more.
    """
    ends = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    before = ndcg(trial, embedding(general))
    for share in SHARES:
        if share < 1:
            say(f"{trial.name}: too much was lost; going {share:g} of the way")
            _mix(trained, general, ends, share)
        model = whitened(trained, texts)
        if not lost([compare_ndcg(trial, before, ndcg(trial, embedding(model)))]):
            break
    return model, share


def _mix(
    trained: "SentenceTransformer",
    general: "SentenceTransformer",
    ends: dict[str, "Tensor"],
    share: float,
) -> None:
    starts = general.state_dict()
    trained.load_state_dict(
        {
            name: starts[name].lerp(end, share) if end.is_floating_point() else end
            for name, end in ends.items()
        }
    )
