"""How far a model goes from the general one: only as far as nothing general is lost.

The weights are taken on the straight line between the general model's and the trained ones
(WiSE-FT; Wortsman et al. 2022, arXiv:2109.01903).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from database.adapt.judging import Gain, Trial, compare, embedding, lost, ndcg

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""How much of the way is tried, the whole way first."""


def blend(
    trained: "SentenceTransformer",
    general: "SentenceTransformer",
    trial: Trial,
    say: Callable[[str], None],
) -> tuple[float, Gain]:
    """Bring a trained model back towards the general one until a trial is lost by little.

    Args:
        trained: Changed in place.
        general: What it was trained from.
        trial: In which nDCG@10 may fall by MOST_LOST.
        say: Told in a line of each step back.

    Returns:
        The share of the way that is left, the least of SHARES where even that loses more; and how
        the trial went with it.
    """
    ends = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    before = ndcg(trial, embedding(general))
    for share in SHARES:
        if share < 1:
            say(f"{trial.name}: too much was lost; going {share:g} of the way")
            _mix(trained, general, ends, share)
        gain = compare(trial, before, ndcg(trial, embedding(trained)))
        if not lost([gain]):
            break
    return share, gain


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
