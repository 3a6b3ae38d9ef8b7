"""What a model gained and what it lost, on passages that it did not learn from.

Two sets: the held-out documents, asked for in the words that other pages use for them; and
passages from other walks of life, written for this, on which nothing should be lost.
"""

import json
from collections.abc import Callable, Sequence
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
"""Of nDCG@10 on the general questions: what losing more says is that the training went too far."""

_CUT = 10
_POOL = 2000
"""Passages to tell a right one from: enough to be hard, few enough to embed twice in minutes."""
_MIN_WORDS = 4
_RESAMPLES = 5000

FloatArray = npt.NDArray[np.float64]
Embed = Callable[[list[str]], npt.ArrayLike]
"""Turns texts into vectors of unit length, (texts, dimension)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Questions, each with the one document that answers it, among passages."""

    name: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]
    """For each question its document."""
    passages: tuple[str, ...]
    documents: tuple[str, ...]
    """For each passage its document."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How two models did in a trial: nDCG@10, and the difference's 95% interval."""

    trial: str
    questions: int
    general: float
    adapted: float
    low: float
    high: float

    @property
    def change(self) -> float:
        """How much more the adapted model has."""
        return self.adapted - self.general


def unseen_trial(corpus: TrainingCorpus, seed: int) -> Trial | None:
    """Ask for held-out documents as other pages speak of them; None where no page does.

    The words of a link are left out where they are the heading itself.
    """
    held = [mention for mention in corpus.mentions if mention.chunk.document in corpus.held_out]
    asked = {
        question: mention.chunk.document
        for mention in held
        if (question := _question(mention)) and mention.source != mention.chunk.document
    }
    if not asked:
        return None
    chunks = [chunk for chunk in corpus.chunks if chunk.document in corpus.held_out]
    others = corpus.learned_chunks
    room = max(0, min(_POOL - len(chunks), len(others)))
    chunks += Random(seed).sample(others, room)  # noqa: S311  # nothing secret
    return Trial(
        name="held-out documents",
        questions=tuple(asked),
        answers=tuple(asked.values()),
        passages=tuple(chunk.text_to_embed for chunk in chunks),
        documents=tuple(chunk.document for chunk in chunks),
    )


def _question(mention: Mention) -> str:
    crumbs = {crumb.lower() for crumb in (mention.chunk.title, *mention.chunk.headings)}
    if mention.words.lower() not in crumbs:
        return mention.sentence
    rest = " ".join(mention.sentence.replace(mention.words, " ").split())
    return rest if len(rest.split()) >= _MIN_WORDS else ""


def general_trial() -> Trial:
    """Questions from cooking to history, each with its passage."""
    lines = [json.loads(line) for line in GENERAL_FILE.read_text().splitlines()]
    numbers = tuple(str(number) for number in range(len(lines)))
    return Trial(
        name="other topics",
        questions=tuple(line["question"] for line in lines),
        answers=numbers,
        passages=tuple(line["passage"] for line in lines),
        documents=numbers,
    )


def embedding(model: "SentenceTransformer") -> Embed:
    """What a loaded model embeds with."""
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def judge(trial: Trial, general: Embed, adapted: Embed) -> Gain:
    """Put a trial to two models."""
    return compare_ndcg(trial, ndcg(trial, general), ndcg(trial, adapted))


def compare_ndcg(trial: Trial, before: FloatArray, after: FloatArray) -> Gain:
    """Hold two models' nDCG@10 of a trial's questions against each other."""
    low, high = _interval(after - before)
    return Gain(trial.name, len(before), float(before.mean()), float(after.mean()), low, high)


def ndcg(trial: Trial, embed: Embed) -> FloatArray:
    """nDCG@10 of each question (Jarvelin and Kekalainen 2002), documents by their best passage."""
    questions, passages = (
        np.asarray(embed(list(texts))) for texts in (trial.questions, trial.passages)
    )
    documents = sorted(set(trial.documents))
    place = {name: at for at, name in enumerate(documents)}
    of_passage = np.array([place[name] for name in trial.documents])
    order = np.argsort(of_passage, kind="stable")
    starts = np.searchsorted(of_passage[order], np.arange(len(documents)))
    nearness = questions @ passages[order].T
    best = np.maximum.reduceat(nearness, starts, axis=1)
    answers = np.array([place[name] for name in trial.answers])
    own = best[np.arange(len(answers)), answers]
    ranks = (best > own[:, None]).sum(axis=1)
    gains: FloatArray = np.where(ranks < _CUT, 1 / np.log2(ranks + 2), 0.0)
    return gains


def _interval(differences: FloatArray) -> tuple[float, float]:
    """The mean's 95% interval: a bootstrap's (Efron and Tibshirani 1993, chapter 13)."""
    from scipy.stats import bootstrap

    if len(differences) < 2:
        return float(differences.mean()), float(differences.mean())
    low, high = bootstrap(
        (differences,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=0
    ).confidence_interval
    return float(low), float(high)


def lost(gains: Sequence[Gain]) -> list[Gain]:
    """The trials in which more was lost than may be."""
    return [gain for gain in gains if gain.change < -MAX_NDCG_LOSS]
