"""The two pipelines from markdown to an index, ours and the original's; each runs in a worker."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from utils.benchmark.machine import MatrixRate, flops
from utils.benchmark.processes import BenchmarkRun, peak_memory
from utils.benchmark.report import Measure, Target
from utils.figures import MIB
from utils.settings import load_settings

if TYPE_CHECKING:
    from langchain_chroma import Chroma

    from database.embedding.local_model import LocalModel
    from database.index.store import Store

_ROWS_PER_CALL = 5000
"""Chroma takes 5,461 rows a call, and add_documents does not split its list."""


@dataclass(frozen=True, slots=True)
class BuildFigures:
    """The figures of one build."""

    chunks: int
    seconds: float
    """The whole pipeline except loading the model."""
    load_seconds: float
    peak_memory: int
    """Bytes."""
    stages: dict[str, float] = field(default_factory=dict)
    seconds_to_open: float = 0.0
    tokens: int = 0
    """Embedded tokens without padding."""
    flops: float = 0.0
    """Operations that the model needs for these tokens."""

    @property
    def chunks_per_second(self) -> float:
        """Chunks split, embedded and stored a second."""
        return self.chunks / self.seconds


def build_ours(run: BenchmarkRun) -> BuildFigures:
    """Build as the command db_builder does."""
    import chromadb  # noqa: F401  # so that its import counts for neither pipeline

    from database.building.build import make_builder
    from database.embedding.local_model import LocalModel
    from database.index.store import open_store

    model = LocalModel(run.model, Path(run.model_folder))
    started = time.perf_counter()
    settings = load_settings()
    builder = make_builder(
        model,
        open_store(run.ours, create=True),
        cache=settings.embedding_cache_path,
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        skipped=lambda line: None,
    )
    report = builder.build(Path(run.documents))
    seconds = time.perf_counter() - started
    memory = peak_memory()
    lengths = _token_counts(builder.store, model) if report.embedded else []
    stages = dict(report.seconds_by_stage)
    load_seconds = stages.pop("load model", 0.0)
    return BuildFigures(
        chunks=report.chunks,
        seconds=seconds - load_seconds,
        load_seconds=load_seconds,
        peak_memory=memory,
        stages=stages,
        seconds_to_open=report.seconds_to_open,
        tokens=sum(lengths),
        flops=sum(flops(model, length) for length in lengths),
    )


def _token_counts(store: "Store", model: "LocalModel") -> list[int]:
    """The number of tokens that the model reads of each chunk."""
    from database.index.rows import read_page

    tokenizer = model.tokenizer()
    tokenizer.enable_truncation(model.max_tokens)
    _, collection, _ = store.live_collection()
    lengths: list[int] = []
    while page := read_page(collection, len(lengths)):
        lengths += [len(tokenizer.encode(row.chunk.text_to_embed)) for row in page]
    return lengths


def build_original(run: BenchmarkRun) -> "tuple[Chroma, BuildFigures]":
    """Build as the original did: raw markdown, split by characters, embedded with torch."""
    import chromadb
    from chromadb.config import Settings as ChromaSettings
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    start = time.perf_counter()
    embeddings = HuggingFaceEmbeddings(model_name=run.model_folder)
    loaded = time.perf_counter()
    folder = Path(run.documents)
    pages = [
        Document(
            path.read_text(encoding="utf-8"),
            metadata={"source": path.relative_to(folder).as_posix()},
        )
        for path in sorted(folder.rglob("*.md"))
    ]
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=90)
    chunks = splitter.split_documents(pages)
    split = time.perf_counter()
    client = chromadb.PersistentClient(run.original, ChromaSettings(anonymized_telemetry=False))
    store = Chroma(client=client, embedding_function=embeddings)
    for first in range(0, len(chunks), _ROWS_PER_CALL):
        store.add_documents(chunks[first : first + _ROWS_PER_CALL])
    end = time.perf_counter()
    return store, BuildFigures(
        chunks=len(chunks),
        seconds=end - loaded,
        load_seconds=loaded - start,
        peak_memory=peak_memory(),
        stages={"read and split": split - loaded, "embed and store": end - split},
    )


def build_measures(
    size: int, ours: BuildFigures, original: BuildFigures, rebuild_seconds: float
) -> list[Measure]:
    """Compare the two builds of `size` bytes of documentation."""
    speed = Target("ratio", above=4)
    rates = (size / ours.seconds / 1000, size / original.seconds / 1000)
    return [
        Measure("documentation, kB a second", *rates, "more", speed),
        Measure("chunks", ours.chunks, original.chunks),
        Measure("chunks a second", ours.chunks_per_second, original.chunks_per_second, "more"),
        Measure("whole pipeline, s", ours.seconds, original.seconds, "less"),
        Measure("loading the model, s", ours.load_seconds, original.load_seconds, "less"),
        Measure("peak memory, MiB", ours.peak_memory / MIB, original.peak_memory / MIB, "less"),
        Measure("opening the new index, s", ours.seconds_to_open),
        Measure("second build that changes nothing, s", rebuild_seconds),
    ]


def matrix_measures(ours: BuildFigures, product: MatrixRate) -> list[Measure]:
    """Compare the embedding's rate with the machine's matrix product."""
    form = f"{product.backend} {product.precision}"
    rate = ours.flops / ours.stages["embed"]
    return [
        Measure(f"embedding ({form}), GFLOP/s", rate / 1e9),
        Measure(f"2048 x 2048 product ({form}), GFLOP/s", product.flops_per_second / 1e9),
        Measure(
            "embedding's share of the product's rate, %",
            100 * rate / product.flops_per_second,
            target=Target("value", above=50),
        ),
    ]
