"""The adapted model in int8 for OpenVINO: calibrated on the documents, and kept only if as good."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from database.adapting.evaluation import Embed, Gain, Trial, judge
from database.embedding.local_model import LocalModel
from database.embedding.model_folder import INT8
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from utils.errors import ModelError

MAX_INT8_NDCG_LOSS = 0.005
"""Of nDCG@10 in any trial: an int8 that loses more is not kept."""
CALIBRATED_ON = 300
"""So many passages; more change nothing any more."""
TIMED = 200
"""So many passages are embedded to see how fast it is, and how near."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """What the model became in int8, against the same model in the machine's best precision."""

    kept: bool
    precision: str
    """What it is compared with: "bf16" or "f32"."""
    speed: float
    """How many times as fast it embeds passages on this machine."""
    cosine: float
    """Of a passage's two vectors, the mean."""
    lowest_cosine: float
    gains: tuple[Gain, ...]
    """In each trial; `general` is the whole model here, `adapted` the one in int8."""


def check_installed() -> None:
    """Make sure that a model can be quantized here.

    Raises:
        ModelError: a package is missing.
    """
    if find_spec("nncf") is None:
        raise ModelError(
            "--int8 needs packages that the service does without: make adapt, or pip install "
            "-r requirements-adapt.txt"
        )


def quantize(model: LocalModel, passages: Sequence[str], trials: Sequence[Trial]) -> Quantized:
    """Write a model's int8 program into its folder; take it away again where it lost too much.

    Args:
        model: Lies in its folder; has no int8 yet.
        passages: What the documents say; CALIBRATED_ON of them at most are read.
        trials: What neither may lose.

    Raises:
        ModelError: the model cannot be exported, or not brought to int8.
    """
    path = model.folder / INT8 / "model.xml"
    with tempfile.TemporaryDirectory(prefix="int8-") as cache:
        whole = OpenVINOEmbeddings.load(model, Path(cache))
        path.parent.mkdir()
        whole.write_int8(path, passages[:CALIBRATED_ON])
        int8 = OpenVINOEmbeddings.load(model, Path(cache))
        try:
            quantized = _compared(whole, int8, passages[-TIMED:], trials)
        except RuntimeError as error:
            raise ModelError("OpenVINO cannot run this model in int8; do without.") from error
    if not quantized.kept:
        shutil.rmtree(path.parent)
    return quantized


def _compared(
    whole: OpenVINOEmbeddings,
    int8: OpenVINOEmbeddings,
    passages: Sequence[str],
    trials: Sequence[Trial],
) -> Quantized:
    both = (whole.embed_documents, int8.embed_documents)
    gains = tuple(judge(trial, *both) for trial in trials)  # the programs are compiled after this
    (seconds, vectors), (seconds_int8, vectors_int8) = (_timed(embed, passages) for embed in both)
    cosines = (vectors * vectors_int8).sum(axis=1)
    return Quantized(
        kept=all(gain.change >= -MAX_INT8_NDCG_LOSS for gain in gains),
        precision=whole.precision,
        speed=seconds / seconds_int8,
        cosine=float(cosines.mean()),
        lowest_cosine=float(cosines.min()),
        gains=gains,
    )


def _timed(embed: Embed, texts: Sequence[str]) -> tuple[float, npt.NDArray[np.float64]]:
    """Seconds to embed texts, and their vectors."""
    begun = time.perf_counter()
    vectors = np.asarray(embed(list(texts)))
    return time.perf_counter() - begun, vectors
