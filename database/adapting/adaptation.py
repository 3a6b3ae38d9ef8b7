"""The flow: documents -> pairs -> training -> evening out -> judgement -> a model folder."""

import hashlib
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from database.adapting.evaluation import (
    FloatArray,
    Gain,
    Trial,
    compare_ndcg,
    embedding,
    general_trial,
    ndcg,
    unseen_trial,
)
from database.adapting.interpolation import blend
from database.adapting.model_card import AdaptationRecord, write_card
from database.adapting.pairs import Pair, count_kinds, enough_pairs
from database.adapting.publication import publish, read_record, write_record
from database.adapting.quantization import CALIBRATED_ON, TIMED, check_installed, quantize
from database.adapting.training import Plan, load_model, train
from database.adapting.training_corpus import TrainingCorpus, read_training_corpus
from database.adapting.whitening import TEXTS, Shortened, shorten
from database.embedding.local_model import LocalModel
from dataset.folder import ALL_DOCUMENTS, Selection, load_documents
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
    """What is asked for."""

    folder: Path
    """The documents."""
    base: LocalModel
    output: Path
    """Where the model goes."""
    device: str
    """ "cuda" or "cpu"."""
    plan: Plan
    dimension: int | None = None
    """How many numbers a vector shall have, if fewer than the base's."""
    int8: bool = False
    """Whether the model is wanted in int8 as well."""
    selection: Selection = ALL_DOCUMENTS


def adapt(
    request: AdaptationRequest, progress: Progress, say: Callable[[str], None]
) -> AdaptationRecord:
    """Adapt a model to documents; goes on from where an interrupted run was.

    Args:
        request: What is asked for.
        progress: Told how many pairs are learned, and how many there are.
        say: Told in a line of what begins, and of each document that is left out.

    Raises:
        DatasetError: there are no documents, or too few.
        ModelError: the output is there already, the base is an adapted one, or the model cannot be
            loaded, trained or written.
    """
    started = time.monotonic()
    base = request.base
    _check(request)
    say(f"Reading {request.folder}")
    corpus = _read(request, say)
    plan = _fitted(request.plan, corpus)
    lot = Random(plan.seed)  # noqa: S311  # nothing secret
    pairs = enough_pairs(corpus, lot, pairs=plan.pairs, passes=plan.passes)
    checkpoints = _checkpoints(request, corpus)
    say(
        f"Learning from {len(pairs):,} pairs of {len(corpus.learned):,} documents on "
        f"{request.device}; {len(corpus.held_out):,} documents are held out"
    )
    model = load_model(base, request.device)
    train(model, pairs, plan, checkpoints=checkpoints, progress=progress)
    say("Judging")
    general = load_model(base, request.device)
    unseen, elsewhere = unseen_trial(corpus, plan.seed), general_trial()
    trials = [unseen, elsewhere] if unseen else [elsewhere]
    whole, share = blend(model, general, _typical(corpus, pairs, plan.seed), elsewhere, say)
    model = shorten(whole, request.dimension) if request.dimension else whole
    before, after = _found(general, trials), _found(model, trials)
    shortened = None
    if request.dimension:
        cost = _held_against(trials, _found(whole, trials), after)
        shortened = Shortened(request.dimension, base.dimension, cost)
    with publish(model, base, request.output) as written:
        quantized = None
        if request.int8:
            say("Calibrating int8")
            passages = _drawn(corpus, CALIBRATED_ON + TIMED, plan.seed)
            quantized = quantize(written, passages, trials)
        packages = (*_PACKAGES, *(_PACKAGES_OF_INT8 if quantized else ()))
        record = AdaptationRecord(
            base=base.name,
            base_revision=base.revision,
            documents=len(corpus.documents),
            corpus=corpus.digest,
            held_out=tuple(sorted(corpus.held_out)),
            pairs=count_kinds(pairs),
            plan=asdict(plan),
            share=share,
            gains=_held_against(trials, before, after),
            shortened=shortened,
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
    """Find out now, and not after the training, what cannot be done."""
    if request.output.exists():
        raise ModelError(
            f"{request.output} is there already, and an index may have been built with it. Name "
            "another with -o, or delete it."
        )
    if earlier := read_record(request.base.folder):
        raise ModelError(
            f"{request.base.name} has learned already, and each time a little of what is general "
            f"may go. Begin with what it was made from, {earlier['base']}, and give it all the "
            "documents."
        )
    if request.int8:
        check_installed()


def _found(model: "SentenceTransformer", trials: Sequence[Trial]) -> list[FloatArray]:
    return [ndcg(trial, embedding(model)) for trial in trials]


def _held_against(
    trials: Sequence[Trial], before: Sequence[FloatArray], after: Sequence[FloatArray]
) -> tuple[Gain, ...]:
    return tuple(
        compare_ndcg(trial, *figures) for trial, *figures in zip(trials, before, after, strict=True)
    )


def _read(request: AdaptationRequest, say: Callable[[str], None]) -> TrainingCorpus:
    return read_training_corpus(
        load_documents(request.folder, say, request.selection),
        ChunkSize(request.base.max_chunk_tokens, 0),
        request.base.count_tokens,
        hold_out=request.plan.hold_out,
        seed=request.plan.seed,
    )


def _typical(corpus: TrainingCorpus, pairs: Sequence[Pair], seed: int) -> list[str]:
    """What the model will embed, by example: passages, and as many questions."""
    passages = _drawn(corpus, TEXTS, seed)
    asked = [pair.question for pair in pairs]
    return passages + asked[: len(passages)]


def _drawn(corpus: TrainingCorpus, count: int, seed: int) -> list[str]:
    """So many passages that the model learned from; fewer where there are not so many."""
    learned = corpus.learned_chunks
    chunks = Random(seed).sample(learned, min(count, len(learned)))  # noqa: S311  # nothing secret
    return [chunk.text_to_embed for chunk in chunks]


def _fitted(plan: Plan, corpus: TrainingCorpus) -> Plan:
    """The plan with a batch that the documents can fill often, as no passage is in it twice."""
    quarter = len(corpus.learned_chunks) // 4
    return replace(plan, batch=min(plan.batch, max(_MIN_BATCH, quarter)))


def _checkpoints(request: AdaptationRequest, corpus: TrainingCorpus) -> Path:
    """The folder of this very training's checkpoints, beside the output; others' are removed."""
    what = repr((request.base.revision, request.plan, corpus.digest, request.device))
    digest = hashlib.sha256(what.encode()).hexdigest()
    stem = f".{request.output.name}.training-"
    own = request.output.parent / f"{stem}{digest[:16]}"
    for other in request.output.parent.glob(f"{stem}*"):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own
