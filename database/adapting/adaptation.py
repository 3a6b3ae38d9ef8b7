"""The flow: documents -> pairs -> training -> whitening -> evaluation -> model folder."""

import hashlib
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from database.adapting.evaluation import (
    FloatArray,
    Gain,
    Trial,
    compare_ndcg,
    embedder_of,
    general_trial,
    ndcg,
    unseen_trial,
)
from database.adapting.interpolation import blend
from database.adapting.model_card import AdaptationRecord, write_card
from database.adapting.pairs import WrittenQuestion, count_kinds, enough_pairs
from database.adapting.publication import publish, read_record, write_record
from database.adapting.quantization import INT8_PASSAGES, quantize
from database.adapting.training import Plan, train
from database.adapting.training_corpus import TrainingCorpus, read_training_corpus
from database.adapting.whitening import TEXTS, Shortened, shorten
from database.embedding.local_model import LocalModel
from database.embedding.torch_embeddings import load_model
from dataset.folder import load_documents
from dataset.listing import ALL_DOCUMENTS, Selection
from dataset.progress import Progress
from dataset.splitting import ChunkSize
from utils.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MIN_BATCH = 8
_PACKAGES = ("torch", "transformers", "sentence-transformers", "accelerate")
_PACKAGES_OF_INT8 = ("openvino", "nncf")


@dataclass(frozen=True, slots=True)
class AdaptationRequest:
    """The base model, the documents, and the parameters of an adaptation."""

    folder: Path
    """Of the documents."""
    base: LocalModel
    output: Path
    device: str
    """ "cuda" or "cpu"."""
    plan: Plan
    dimension: int | None = None
    """Dimension to reduce the vectors to, less than the base model's."""
    int8: bool = False
    selection: Selection = ALL_DOCUMENTS
    questions: Sequence[WrittenQuestion] = ()
    """Written for the documents, beside those made of them."""


def adapt(
    request: AdaptationRequest, progress: Progress, report: Callable[[str], None]
) -> AdaptationRecord:
    """Adapt a model to documents; continue an interrupted run from its last checkpoint.

    `progress` counts training pairs; `report` receives a line per step and per skipped document.

    Raises:
        DatasetError: there are no documents, or too few.
        ModelError: the output exists, the base is an adapted model, or the model cannot be loaded,
            trained or written.
    """
    started = time.monotonic()
    base = request.base
    _check(request)

    # Make pairs from the documents.
    report(f"Reading {request.folder}")
    corpus = _read(request, report)
    plan = _fitted(request.plan, corpus)
    pairs = enough_pairs(
        corpus,
        pairs=plan.pairs,
        passes=plan.passes,
        seed=plan.seed,
        questions=request.questions,
    )

    # Train on them.
    checkpoints = _checkpoints(request, corpus)
    report(
        f"Training on {len(pairs):,} pairs of {len(corpus.learned):,} documents on "
        f"{request.device}; {len(corpus.held_out):,} documents are held out"
    )
    model = load_model(base, request.device)
    train(model, pairs, plan, checkpoints=checkpoints, progress=progress)

    # Interpolate with the base model, whiten, reduce the dimension, and evaluate each step.
    report("Evaluating")
    trials = [trial for trial in (unseen_trial(corpus, plan.seed), general_trial()) if trial]
    passages = _sample(corpus, TEXTS, plan.seed)
    texts = passages + [pair.question for pair in pairs[: len(passages)]]
    refined = _refine(request, model, texts, trials, report)

    # Write the model folder.
    with publish(refined.model, base, request.output) as written:
        quantized = None
        if request.int8:
            report("Calibrating int8")
            quantized = quantize(written, _sample(corpus, INT8_PASSAGES, plan.seed), trials)
        packages = (*_PACKAGES, *(_PACKAGES_OF_INT8 if quantized else ()))
        record = AdaptationRecord(
            base=base.name,
            base_revision=base.revision,
            documents=len(corpus.documents),
            corpus=corpus.digest,
            held_out=tuple(sorted(corpus.held_out)),
            pairs=count_kinds(pairs),
            plan=asdict(plan),
            share=refined.share,
            gains=refined.gains,
            shortened=refined.shortened,
            quantized=quantized,
            device=request.device,
            seconds=round(time.monotonic() - started),
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            packages={name: version(name) for name in packages},
        )
        write_record(written.folder, asdict(record), write_card(request.output.name, record))
    shutil.rmtree(checkpoints, ignore_errors=True)
    return record


def _check(request: AdaptationRequest) -> None:
    """Raise errors that would otherwise occur only after the training."""
    if request.output.exists():
        raise ModelError(
            f"{request.output} already exists, and an index may have been built with it. Choose "
            "another folder with -o, or delete it."
        )
    if earlier := read_record(request.base.folder):
        raise ModelError(
            f"{request.base.name} is an adapted model, and each adaptation may lose some general "
            f"knowledge. Adapt its base model, {earlier['base']}, to all the documents instead."
        )
    needed = {"datasets": "Training"} | ({"nncf": "--int8"} if request.int8 else {})
    for package, what in needed.items():
        if find_spec(package) is None:
            raise ModelError(
                f"{what} needs packages that are not installed: run make adapt, or pip install "
                "-r requirements-adapt.txt"
            )


class _Refined(NamedTuple):
    model: "SentenceTransformer"
    share: float
    gains: tuple[Gain, ...]
    shortened: Shortened | None


def _refine(
    request: AdaptationRequest,
    trained: "SentenceTransformer",
    texts: Sequence[str],
    trials: Sequence[Trial],
    report: Callable[[str], None],
) -> _Refined:
    """Interpolate and whiten a trained model, reduce its dimension, and evaluate it in the trials.

    The last trial is that of other topics, on which nothing should be lost.
    """
    general = load_model(request.base, request.device)
    before = _ndcg(general, trials)
    model, share, last = blend(trained, general, texts, trials[-1], before[-1], report)
    after = [*_ndcg(model, trials[:-1]), last]
    if not request.dimension:
        return _Refined(model, share, _gains(trials, before, after), None)
    model, whole = shorten(model, request.dimension), after
    after = _ndcg(model, trials)
    shortened = Shortened(request.dimension, request.base.dimension, _gains(trials, whole, after))
    return _Refined(model, share, _gains(trials, before, after), shortened)


def _ndcg(model: "SentenceTransformer", trials: Sequence[Trial]) -> list[FloatArray]:
    return [ndcg(trial, embedder_of(model)) for trial in trials]


def _gains(
    trials: Sequence[Trial], before: Sequence[FloatArray], after: Sequence[FloatArray]
) -> tuple[Gain, ...]:
    return tuple(
        compare_ndcg(trial, *figures) for trial, *figures in zip(trials, before, after, strict=True)
    )


def _read(request: AdaptationRequest, report: Callable[[str], None]) -> TrainingCorpus:
    return read_training_corpus(
        load_documents(request.folder, report, request.selection),
        ChunkSize(request.base.max_chunk_tokens, 0),
        request.base.count_tokens,
        hold_out=request.plan.hold_out,
        seed=request.plan.seed,
    )


def _sample(corpus: TrainingCorpus, count: int, seed: int) -> list[str]:
    """Draw up to `count` random passages of the training documents."""
    learned = corpus.learned_chunks
    chunks = Random(seed).sample(learned, min(count, len(learned)))  # noqa: S311  # not cryptographic
    return [chunk.text_to_embed for chunk in chunks]


def _fitted(plan: Plan, corpus: TrainingCorpus) -> Plan:
    """Reduce the batch size for few documents: a batch contains no passage twice."""
    quarter = len(corpus.learned_chunks) // 4
    return replace(plan, batch=min(plan.batch, max(_MIN_BATCH, quarter)))


def _checkpoints(request: AdaptationRequest, corpus: TrainingCorpus) -> Path:
    """The checkpoint folder for exactly these inputs, beside the output; delete all others."""
    inputs = repr(
        (
            request.base.revision,
            request.plan,
            corpus.digest,
            tuple(request.questions),
            request.device,
        )
    )
    digest = hashlib.sha256(inputs.encode()).hexdigest()
    stem = f".{request.output.name}.training-"
    own = request.output.parent / f"{stem}{digest[:16]}"
    for other in request.output.parent.glob(f"{stem}*"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own
