"""Dense search by size of the index: python -m utils.evaluation.sizes DATABASE --chunks 100000.

For each size, compares the two ways in which dense search works: comparing all vectors in memory,
and Chroma's graph with the settings that an index of this size has. Measured are memory, time per
question, and what the graph takes to build and to open; recall is the share of the nearest chunks
that it finds.

The vectors are those of the index, and if these are too few, random vectors near them, with a fixed
seed. The questions are the labelled ones.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from database.embedding.query_embeddings import embed_question
from database.index.checks.collection_check import RECALL_DEPTH
from database.index.rows import Vectors, in_pages, unit_vectors
from database.index.store import INDEX_PREFIX, open_store
from database.reading.reader import reader_from
from database.searching.dense import exact_cosines, nearest_chunks
from dataset.markdown.writer import pipe_table
from utils.errors import DocsQAError
from utils.evaluation.questions import DEFAULT_QUESTIONS, load_questions
from utils.figures import MIB, percentile, print_progress, run_measurement, write_report
from utils.settings import load_settings

if TYPE_CHECKING:
    from chromadb import Collection

_DISTANCE = 0.5
"""Length of the random vector that is added to a unit vector: cosines of about 0.9, as between
chunks of one section."""
_ROWS = 1000
"""Vectors in a request."""
_NAME = f"{INDEX_PREFIX}sizes"


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """Dense search of an index of one size."""

    chunks: int
    exact_mib: float
    exact_ms: float
    """Median per question, as all below that end in `ms`."""
    build_seconds: float
    open_seconds: float
    """Until the first result, in a new process."""
    graph_mib: float
    """Of the process that has opened the graph."""
    graph_ms: float
    recall: float
    lowest_recall: float
    """Of a question."""
    below: int
    """Questions with a recall below 0.9."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its status, see `run_measurement`."""
    arguments = _parse(argv)
    return run_measurement(lambda: _measure(arguments, sys.argv[1:] if argv is None else argv))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    first, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="sizes",
        description=f"{first}\n\n{details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("database", help="folder or address of an index")
    parser.add_argument(
        "-n",
        "--chunks",
        type=int,
        nargs="+",
        default=[12_600, 100_000],
        metavar="N",
        help="sizes of the index (default: 12600 100000)",
    )
    parser.add_argument("-o", "--output", type=Path, help="write the table to this markdown file")
    arguments = parser.parse_args(argv)
    if min(arguments.chunks) < 1:
        parser.error("--chunks must be 1 or more")
    return arguments


def _measure(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    vectors, asked = _index_and_questions(arguments.database)
    figures = []
    for chunks in arguments.chunks:
        print_progress(f"{chunks:,} chunks ...")
        figures.append(measure_size(grown(vectors, chunks), asked))
    table = _table(figures)
    sys.stdout.write(f"{table}\n")
    if arguments.output:
        write_report(
            arguments.output, "Dense search by size", "utils.evaluation.sizes", argv, [table]
        )


def _index_and_questions(database: str) -> tuple[Vectors, Vectors]:
    """The unit vectors of an index, and of the questions."""
    with closing(reader_from(load_settings(database=database))) as reader:
        corpus = reader.refresh().corpus
        if corpus.vectors is None:
            raise DocsQAError(
                "Give an index of at most 100,000 chunks, whose vectors are in memory."
            )
        asked = [
            embed_question(corpus.embeddings, labelled.question)
            for labelled in load_questions(DEFAULT_QUESTIONS)
        ]
        return corpus.vectors, unit_vectors(asked)


def grown(vectors: Vectors, size: int) -> Vectors:
    """Return `size` unit vectors: a random sample, or all that are given and others near them."""
    random = np.random.default_rng(18)
    if size <= len(vectors):
        return vectors[random.permutation(len(vectors))[:size]]
    near = vectors[random.integers(len(vectors), size=size - len(vectors))]
    step = random.standard_normal(near.shape, dtype=np.float32)
    return np.concatenate([vectors, unit_vectors(near + _DISTANCE * unit_vectors(step))])


def measure_size(vectors: Vectors, asked: Vectors) -> SizeFigures:
    """Measure dense search of these unit vectors with these questions."""
    depth = min(RECALL_DEPTH, len(vectors))
    exact_seconds, nearest = [], []
    for question in asked:
        started = time.perf_counter()
        cosines = exact_cosines(vectors, question)
        exact_seconds.append(time.perf_counter() - started)
        nearest.append(set(np.argpartition(-cosines, depth - 1)[:depth].tolist()))
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        _build(folder, vectors)
        build_seconds = time.perf_counter() - started
        graph = _search(folder, asked, len(vectors))
    shares = [len(true & found) / depth for true, found in zip(nearest, graph.found, strict=True)]
    return SizeFigures(
        chunks=len(vectors),
        exact_mib=vectors.nbytes / MIB,
        exact_ms=1000 * percentile(exact_seconds, 0.5),
        build_seconds=build_seconds,
        open_seconds=graph.open_seconds,
        graph_mib=graph.bytes / MIB,
        graph_ms=1000 * percentile(graph.seconds, 0.5),
        recall=float(np.mean(shares)),
        lowest_recall=min(shares),
        below=sum(share < 0.9 for share in shares),
    )


@dataclass(frozen=True, slots=True)
class _GraphSearches:
    """What the searches of a graph found and took, each list with an entry per question."""

    found: list[set[int]]
    seconds: list[float]
    open_seconds: float
    bytes: int


def _build(folder: str, vectors: Vectors) -> None:
    with _store(folder) as store:
        collection = store.create(_NAME, {"made_for": "sizes"}, rows=len(vectors))
        for page in in_pages(range(len(vectors)), _ROWS):
            collection.add(ids=[str(place) for place in page], embeddings=vectors[page])


def _search(folder: str, asked: Vectors, chunks: int) -> _GraphSearches:
    places = {str(place): place for place in range(chunks)}
    with _store(folder) as store:
        started = time.perf_counter()
        collection = store.client.get_collection(_NAME)
        _found(collection, asked[0], places)
        open_seconds = time.perf_counter() - started
        found, seconds = [], []
        for question in asked:
            started = time.perf_counter()
            found.append(_found(collection, question, places))
            seconds.append(time.perf_counter() - started)
        used = sum(child.memory_info().rss for child in psutil.Process().children())
    return _GraphSearches(found, seconds, open_seconds, used)


@contextmanager
def _store(folder: str) -> Iterator[Any]:
    """A store in a process of its own, as the service has it."""
    with closing(open_store(folder, create=True, isolated=True)) as store:
        yield store


def _found(collection: "Collection", question: Any, places: dict[str, int]) -> set[int]:
    return set(nearest_chunks(collection, question.tolist(), places, RECALL_DEPTH, of=len(places)))


def _table(figures: Sequence[SizeFigures]) -> str:
    heads = [
        *("chunks", "all compared: MiB", "ms", "graph: build s", "open s", "MiB", "ms"),
        *("recall", "lowest", "questions below 0.9"),
    ]
    rows = [
        [
            f"{each.chunks:,}",
            f"{each.exact_mib:.0f}",
            f"{each.exact_ms:.1f}",
            f"{each.build_seconds:.0f}",
            f"{each.open_seconds:.1f}",
            f"{each.graph_mib:.0f}",
            f"{each.graph_ms:.1f}",
            f"{each.recall:.3f}",
            f"{each.lowest_recall:.3f}",
            str(each.below),
        ]
        for each in figures
    ]
    return pipe_table([heads, *rows])


if __name__ == "__main__":
    sys.exit(main())
