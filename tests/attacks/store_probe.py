"""Builds and searches indexes in processes of their own, which a damaged one may kill."""

import multiprocessing
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from database.index.store import open_store
from database.reading.reader import Reader
from tests.database.changing.steps import put
from tests.files.pages import WordEmbeddings, builder, many_pages, write_pages
from utils.errors import DocsQAError

_PAGES = 25
_SECONDS = 120
QUESTIONS = [f"Which part of topic {n} is about word{n}x{n % 8}?" for n in range(0, _PAGES, 3)]

Results = list[list[tuple[str, str, float]]]


def build_index(folder: Path) -> str:
    """Write pages and build an index of them, to which a document is added in place."""
    pages = write_pages(folder / "pages", many_pages(_PAGES))
    with closing(open_store(str(folder / "index"), create=True)) as store:
        builder(store).build(pages)
        put(store, "kilns.md", "# Kilns\n\nOak burns slowly.\n")
    return "built"


def results(folder: Path) -> Results:
    """What searches of an index find."""
    reader = Reader(lambda: open_store(str(folder)), lambda _: WordEmbeddings(), str(folder))
    found = [
        [(p.chunk.id, p.text, round(p.score, 5)) for p in reader.search(question, 8).passages]
        for question in (*QUESTIONS, "Which kilns burn oak slowly?")
    ]
    reader.close()
    return found


def without_ties(found: Results) -> list[tuple[str, list[float]]]:
    """The best chunk and all scores: copied vectors differ in the last bit, which decides ties."""
    return [(each[0][0], [round(score, 3) for _, _, score in each]) for each in found]


def served(folder: Path, expected: Results, seen: Callable[[Results], object] = list) -> str:
    """Search an index, and compare what was found, as far as it is `seen`."""
    try:
        return "same" if seen(results(folder)) == seen(expected) else "different"
    except DocsQAError as error:
        has_remedy = "make index" in str(error)
        return f"refused: {error}" if has_remedy else f"error: without a remedy: {error}"
    except BaseException as error:  # noqa: BLE001  # Chroma's Rust code panics with its own
        return f"error: {error!r}"


def rebuild(folder: Path, pages: Path) -> str:
    """Build the pages again; "built", or how that failed."""
    try:
        with closing(open_store(str(folder), create=True)) as store:
            builder(store).build(pages)
    except DocsQAError as error:
        return f"refused: {error}"
    except BaseException as error:  # noqa: BLE001
        return f"error: {error!r}"
    return "built"


def in_process(action: Any) -> Any:
    """Run an action in a process of its own, which a damaged index may kill."""
    # Not a fork of this process, in which Chroma may run threads already.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, action), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(_SECONDS) else "error: timed out"
    except EOFError:
        process.join()
        return f"error: the process ended with status {process.exitcode}"
    finally:
        process.kill()
        process.join()


def _send(sender: Any, action: Callable[[], object]) -> None:
    sender.send(action())
