"""Compares two models: a build with each, and the latency of embedding a question."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from utils.benchmark.builds import BuildFigures
from utils.benchmark.processes import BenchmarkRun, run_worker
from utils.benchmark.report import Measure
from utils.benchmark.sample import heading_questions
from utils.settings import load_settings

_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class QuestionFigures:
    """The latency of embedding questions one by one, in milliseconds."""

    form: str
    """Backend and precision, such as "OpenVINO bf16"."""
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The figures of one model."""

    name: str
    build: BuildFigures
    questions: QuestionFigures


def embed_questions(job: BenchmarkRun) -> QuestionFigures:
    """Embed the documents' questions as a service does; runs in a worker."""
    from database.embedding.local_model import LocalModel
    from database.embedding.openvino_embeddings import OpenVINOEmbeddings

    settings = load_settings()
    model = LocalModel(job.model, Path(job.model_folder))
    embeddings = model.load_embeddings(
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        cache=settings.embedding_cache_path,
    )
    form = "torch"
    if isinstance(embeddings, OpenVINOEmbeddings):
        form = f"OpenVINO {embeddings.precision}"
    asked = heading_questions(Path(job.documents))
    for question in asked[:_WARM_UP]:
        embeddings.embed_query(question)
    milliseconds = []
    for question in asked:
        begun = time.perf_counter()
        embeddings.embed_query(question)
        milliseconds.append(1000 * (time.perf_counter() - begun))
    p50, p95 = np.percentile(milliseconds, (50, 95))
    return QuestionFigures(form, float(p50), float(p95))


def compare_models(job: BenchmarkRun, say: Callable[[str], None]) -> list[Measure]:
    """Build and embed questions with both models of the run.

    Raises:
        DocsQAError: a build failed.
    """
    jobs = (
        replace(job, ours=f"{job.ours}-first"),
        replace(
            job,
            model=job.other_model,
            model_folder=job.other_model_folder,
            ours=f"{job.ours}-other",
        ),
    )
    figures = []
    for each in jobs:
        say(f"a build and questions with {each.model} ...")
        build = BuildFigures(**run_worker("build", each))
        asked = QuestionFigures(**run_worker("questions", each))
        figures.append(ModelFigures(each.model, build, asked))
    return models_measures(*figures)


def models_measures(first: ModelFigures, other: ModelFigures) -> list[Measure]:
    """The figures of both models, then their ratios."""
    measures = []
    for each in (first, other):
        name = f"{each.name} ({each.questions.form})"
        measures += [
            Measure(f"{name}, chunks a second", each.build.chunks_per_second),
            Measure(f"{name}, embedding a question, p50 ms", each.questions.p50),
            Measure(f"{name}, embedding a question, p95 ms", each.questions.p95),
        ]
    faster = other.build.chunks_per_second / first.build.chunks_per_second
    return [
        *measures,
        Measure("the second builds so many times as fast", faster),
        Measure("and embeds questions", first.questions.p50 / other.questions.p50),
    ]
