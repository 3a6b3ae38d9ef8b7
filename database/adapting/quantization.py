"""Int8 quantization of an adapted model for OpenVINO, discarded if it loses too much nDCG@10."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from database.adapting.evaluation import Embed, Gain, Trial, judge
from database.embedding.local_model import LocalModel
from database.embedding.model_folder import INT8
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from utils.errors import ModelError

MAX_INT8_NDCG_LOSS = 0.005
"""Largest acceptable loss of nDCG@10 in a trial."""
_CALIBRATION_PASSAGES, _TIMED_PASSAGES = 300, 200
"""Passages to calibrate with (more made no difference) and to time."""
INT8_PASSAGES = _CALIBRATION_PASSAGES + _TIMED_PASSAGES


@dataclass(frozen=True, slots=True)
class Quantized:
    """An int8 model compared with the same model in the machine's best float precision."""

    kept: bool
    precision: str
    """Of the float model: "bf16" or "f32"."""
    speed: float
    """Speed-up on this machine: seconds of the float model / seconds of the int8 model."""
    cosine: float
    """Mean cosine between a passage's float and int8 vectors."""
    lowest_cosine: float
    gains: tuple[Gain, ...]
    """Per trial; `general` is the float model here, `adapted` the int8 model."""


def quantize(model: LocalModel, passages: Sequence[str], trials: Sequence[Trial]) -> Quantized:
    """Write a model's int8 program into its folder, and delete it if it loses too much.

    Args:
        model: A model without an int8 program.
        passages: INT8_PASSAGES, first those to calibrate with, then those to time; fewer overlap.
        trials: Each may lose at most MAX_INT8_NDCG_LOSS.

    Raises:
        ModelError: the model cannot be exported or quantized.
    """
    path = model.folder / INT8 / "model.xml"
    with tempfile.TemporaryDirectory(prefix="int8-") as cache:
        exact = OpenVINOEmbeddings.load(model, Path(cache))
        path.parent.mkdir()
        exact.write_int8(path, passages[:_CALIBRATION_PASSAGES])
        int8 = OpenVINOEmbeddings.load(model, Path(cache))
        try:
            quantized = _compare(exact, int8, passages[-_TIMED_PASSAGES:], trials)
        except RuntimeError as error:
            raise ModelError("OpenVINO cannot run this model in int8; omit --int8.") from error
    if not quantized.kept:
        shutil.rmtree(path.parent)
    return quantized


def _compare(
    exact: OpenVINOEmbeddings,
    int8: OpenVINOEmbeddings,
    passages: Sequence[str],
    trials: Sequence[Trial],
) -> Quantized:
    both = (exact.embed_documents, int8.embed_documents)
    gains = tuple(judge(trial, *both) for trial in trials)  # also compiles both programs
    (seconds, vectors), (seconds_int8, vectors_int8) = (_timed(embed, passages) for embed in both)
    cosines = (vectors * vectors_int8).sum(axis=1)
    return Quantized(
        kept=all(gain.change >= -MAX_INT8_NDCG_LOSS for gain in gains),
        precision=exact.precision,
        speed=seconds / seconds_int8,
        cosine=float(cosines.mean()),
        lowest_cosine=float(cosines.min()),
        gains=gains,
    )


def _timed(embed: Embed, texts: Sequence[str]) -> tuple[float, npt.NDArray[np.float64]]:
    """Seconds to embed texts, and their vectors."""
    started = time.perf_counter()
    vectors = np.asarray(embed(list(texts)))
    return time.perf_counter() - started, vectors
