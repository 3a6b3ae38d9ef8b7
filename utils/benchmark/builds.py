"""The two pipelines from markdown to an index: ours and the original's. Each runs in a worker."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from utils.benchmark.machine import flops
from utils.benchmark.processes import BenchmarkRun, peak_memory
from utils.settings import load_settings

if TYPE_CHECKING:
    from database.building.build import Builder
    from database.building.report import BuildReport
    from database.embedding.model_folder import LocalModel

_ROWS_A_CALL = 5000
"""Chroma takes 5,461 rows a call, and from_documents does not split its list."""


@dataclass(frozen=True, slots=True)
class BuildFigures:
    """What one build took."""

    chunks: int
    seconds: float
    """The whole pipeline, without loading the model."""
    load_seconds: float
    peak_memory: int
    """Bytes."""
    stages: dict[str, float] = field(default_factory=dict)
    seconds_to_open: float = 0.0
    tokens: int = 0
    """Embedded tokens, padding left out."""
    flops: float = 0.0
    """What these tokens cost the model."""

    @property
    def chunks_per_second(self) -> float:
        """Chunks split, embedded and stored a second."""
        return self.chunks / self.seconds

    @property
    def flops_per_second(self) -> float:
        """What the embedding reached of the machine."""
        return self.flops / self.stages["embed"]


def build_ours(job: BenchmarkRun) -> BuildFigures:
    """Build with database.building.build, as db_builder does."""
    import chromadb  # noqa: F401  # imported here, an import counts for neither pipeline

    from database.building.builder_factory import make_builder
    from database.embedding.model_folder import LocalModel
    from database.index.store import open_store

    model = LocalModel(job.model, Path(job.model_folder))
    started = time.perf_counter()
    settings = load_settings()
    builder = make_builder(
        model,
        open_store(job.ours, create=True),
        cache=settings.embedding_cache_path,
        device=settings.embedding_device,
        backend=settings.embedding_backend,
        skipped=lambda line: None,
    )
    report = builder.build(Path(job.documents))
    seconds = time.perf_counter() - started
    memory = peak_memory()
    lengths = _token_counts(builder, model) if report.embedded else []
    load_seconds = report.seconds_by_stage.get("load model", 0.0)
    return BuildFigures(
        chunks=report.chunks,
        seconds=seconds - load_seconds,
        load_seconds=load_seconds,
        peak_memory=memory,
        stages=_without_load(report),
        seconds_to_open=report.seconds_to_open,
        tokens=sum(lengths),
        flops=sum(flops(model, length) for length in lengths),
    )


def _without_load(report: "BuildReport") -> dict[str, float]:
    return {name: s for name, s in report.seconds_by_stage.items() if name != "load model"}


def _token_counts(builder: "Builder", model: "LocalModel") -> list[int]:
    """How many tokens of each text the model read."""
    from database.index.rows import read_page

    tokenizer = model.tokenizer()
    tokenizer.enable_truncation(model.max_tokens)
    _, collection, _ = builder.store.live_collection()
    lengths: list[int] = []
    while page := read_page(collection, len(lengths)):
        lengths += [len(tokenizer.encode(row.chunk.text_to_embed)) for row in page]
    return lengths


def build_original(job: BenchmarkRun) -> BuildFigures:
    """Build as the original did: raw markdown, cut by characters, embedded by torch."""
    import chromadb
    from chromadb.config import Settings as ChromaSettings
    from langchain_chroma import Chroma
    from langchain_core.documents import Document
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    start = time.perf_counter()
    embeddings = HuggingFaceEmbeddings(model_name=job.model_folder)
    loaded = time.perf_counter()
    folder = Path(job.documents)
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
    client = chromadb.PersistentClient(job.original, ChromaSettings(anonymized_telemetry=False))
    for first in range(0, len(chunks), _ROWS_A_CALL):
        Chroma.from_documents(chunks[first : first + _ROWS_A_CALL], embeddings, client=client)
    end = time.perf_counter()
    return BuildFigures(
        chunks=len(chunks),
        seconds=end - loaded,
        load_seconds=loaded - start,
        peak_memory=peak_memory(),
        stages={"read and split": split - loaded, "embed and store": end - split},
    )
