"""Compares the retrieval of two models (nDCG@10) on passages that were not trained on.

Two trials: held-out documents, with the sentences of other pages that link to them as questions;
and passages about other topics, written for this purpose, on which nothing should be lost.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from database.adapting.training_corpus import Mention, TrainingCorpus

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

GENERAL_FILE = Path(__file__).with_name("general.jsonl")
MAX_NDCG_LOSS = 0.01
"""Largest acceptable loss of nDCG@10 on the general questions."""

_CUT = 10
_POOL = 2000
"""Passages per trial: enough to be hard, few enough to embed twice within minutes."""
_MIN_WORDS = 4
_RESAMPLES = 5000

FloatArray = npt.NDArray[np.float64]
Embed = Callable[[list[str]], npt.ArrayLike]
"""Embeds texts as unit vectors: (texts, dimension)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Questions, each with the one document that answers it, and the passages to search."""

    name: str
    answers: Mapping[str, str]
    """Document of each question."""
    passages: Sequence[tuple[str, str]]
    """Text and document."""


@dataclass(frozen=True, slots=True)
class Gain:
    """nDCG@10 of two models in a trial, and the 95% interval of the difference."""

    trial: str
    questions: int
    general: float
    adapted: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """nDCG@10 of the adapted model minus that of the general one."""
        return self.adapted - self.general

    @property
    def is_excessive_loss(self) -> bool:
        """True for a loss of more than MAX_NDCG_LOSS."""
        return self.change < -MAX_NDCG_LOSS


def unseen_trial(corpus: TrainingCorpus, seed: int) -> Trial | None:
    """Ask for held-out documents with the sentences of pages that link to them; None without any.

    The words of a link are removed from the question if they repeat a heading of the target.
    """
    answers = {
        question: mention.chunk.document
        for mention in corpus.mentions
        if mention.chunk.document in corpus.held_out
        and mention.source != mention.chunk.document
        and (question := _question(mention))
    }
    if not answers:
        return None
    chunks = [chunk for chunk in corpus.chunks if chunk.document in corpus.held_out]
    others = corpus.learned_chunks
    count = max(0, min(_POOL - len(chunks), len(others)))
    chunks += Random(seed).sample(others, count)  # noqa: S311  # not cryptographic
    passages = [(chunk.text_to_embed, chunk.document) for chunk in chunks]
    return Trial("held-out documents", answers, passages)


def _question(mention: Mention) -> str:
    crumbs = {crumb.lower() for crumb in (mention.chunk.title, *mention.chunk.headings)}
    if mention.words.lower() not in crumbs:
        return mention.sentence
    rest = " ".join(mention.sentence.replace(mention.words, " ").split())
    return rest if len(rest.split()) >= _MIN_WORDS else ""


def general_trial() -> Trial:
    """Questions about topics from cooking to history, each with the passage that answers it."""
    lines = [json.loads(line) for line in GENERAL_FILE.read_text().splitlines()]
    answers = {line["question"]: str(number) for number, line in enumerate(lines)}
    passages = [(line["passage"], str(number)) for number, line in enumerate(lines)]
    return Trial("other topics", answers, passages)


def embedder_of(model: "SentenceTransformer") -> Embed:
    """The embedding function of a loaded model."""
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def judge(trial: Trial, general: Embed, adapted: Embed) -> Gain:
    """Compare two models' nDCG@10 in a trial."""
    return compare_ndcg(trial, ndcg(trial, general), ndcg(trial, adapted))


def compare_ndcg(trial: Trial, before: FloatArray, after: FloatArray) -> Gain:
    """Compare the nDCG@10 of a trial's questions before and after."""
    low, high = _interval(after - before)
    return Gain(trial.name, len(before), float(before.mean()), float(after.mean()), low, high)


def ndcg(trial: Trial, embed: Embed) -> FloatArray:
    """nDCG@10 per question (Jarvelin and Kekalainen 2002): 1 / log2(1 + rank), 0 from rank 11.

    A document is ranked by its best passage.
    """
    questions = np.asarray(embed(list(trial.answers)))
    passages = np.asarray(embed([text for text, _ in trial.passages]))
    documents, of_passage = np.unique([name for _, name in trial.passages], return_inverse=True)
    order = np.argsort(of_passage, kind="stable")
    starts = np.searchsorted(of_passage[order], np.arange(len(documents)))
    cosines = questions @ passages[order].T
    best = np.maximum.reduceat(cosines, starts, axis=1)
    answers = np.searchsorted(documents, list(trial.answers.values()))
    own = best[np.arange(len(answers)), answers]
    ranks = (best > own[:, None]).sum(axis=1)
    gains: FloatArray = np.where(ranks < _CUT, 1 / np.log2(ranks + 2), 0.0)
    return gains


def _interval(differences: FloatArray) -> tuple[float, float]:
    """95% interval of the mean: bootstrap percentiles (Efron and Tibshirani 1993, chapter 13)."""
    from scipy.stats import bootstrap

    if len(differences) < 2:
        return float(differences.mean()), float(differences.mean())
    low, high = bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=0
    ).confidence_interval
    return float(low), float(high)
