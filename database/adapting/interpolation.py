"""How far a model goes from the general one: only as far as nothing general is lost.

The weights are taken on the straight line between the general model's and the trained ones
(WiSE-FT; Wortsman et al. 2022, arXiv:2109.01903).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from database.adapting.evaluation import Trial, compare_ndcg, embedding, lost, ndcg
from database.adapting.whitening import whitened

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""How much of the way is tried, the whole way first."""


def blend(
    trained: "SentenceTransformer",
    general: "SentenceTransformer",
    texts: Sequence[str],
    trial: Trial,
    say: Callable[[str], None],
) -> tuple["SentenceTransformer", float]:
    """Bring a trained model back towards the general one until a trial is lost by little.

    Args:
        trained: Its weights are changed in place.
        general: What it was trained from.
        texts: Such as it will embed: its vectors of them are evened out.
        trial: In which nDCG@10 may fall by MAX_NDCG_LOSS.
        say: Told in a line of each step back.

    Returns:
        The model with a last layer that evens out, and the share of the way that is left: the
        least of SHARES where even that loses more.
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
