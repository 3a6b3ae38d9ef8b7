"""Compares two models: a build with each, and the latency of embedding a question."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from utils.benchmark.builds import BuildFigures
from utils.benchmark.machine import load_embeddings
from utils.benchmark.processes import BenchmarkRun, run_worker
from utils.benchmark.report import Measure
from utils.benchmark.sample import heading_questions
from utils.figures import percentile

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


def embed_questions(run: BenchmarkRun) -> QuestionFigures:
    """Embed the documents' questions as a service does; runs in a worker."""
    from database.embedding.openvino_embeddings import OpenVINOEmbeddings

    embeddings = load_embeddings(run)
    form = "torch"
    if isinstance(embeddings, OpenVINOEmbeddings):
        form = f"OpenVINO {embeddings.precision}"
    asked = heading_questions(Path(run.documents))
    for question in asked[:_WARM_UP]:
        embeddings.embed_query(question)
    milliseconds = []
    for question in asked:
        begun = time.perf_counter()
        embeddings.embed_query(question)
        milliseconds.append(1000 * (time.perf_counter() - begun))
    return QuestionFigures(form, percentile(milliseconds, 0.5), percentile(milliseconds, 0.95))


def compare_models(run: BenchmarkRun, report: Callable[[str], None]) -> list[Measure]:
    """Build and embed questions with both models of the run.

    Raises:
        DocsQAError: a build failed.
    """
    runs = (
        replace(run, ours=f"{run.ours}-first"),
        replace(
            run,
            model=run.other_model,
            model_folder=run.other_model_folder,
            ours=f"{run.ours}-other",
        ),
    )
    figures = []
    for each in runs:
        report(f"a build and questions with {each.model} ...")
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
