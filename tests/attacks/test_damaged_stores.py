"""Damaged indexes are never silently wrong: the same results, or not ready with the remedy.

`make test` damages a few; `make attack` a hundred (ATTACKS=).
"""

import multiprocessing
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import chromadb  # noqa: F401  # before the fork: importing it takes a second
import pytest

from database.index.store import open_store
from database.reading.reader import Reader
from tests.attacks.store_damage import KINDS, ROW_KINDS
from tests.database.changing.steps import put
from tests.files.pages import WordEmbeddings, builder, many_pages, write_pages
from utils.errors import DocsQAError

pytestmark = pytest.mark.process

ATTACKS = int(os.environ.get("ATTACKS", "6"))
_PAGES = 25
_SECONDS = 120
QUESTIONS = [f"Which part of topic {n} is about word{n}x{n % 8}?" for n in range(0, _PAGES, 3)]

Results = list[list[tuple[str, str, float]]]


@dataclass(frozen=True)
class Outcome:
    """What became of a damaged index."""

    kind: str
    seed: int
    served: str
    """"same", "different", "refused: ..." or "error: ..."."""
    built: str = ""
    """The same after a build."""


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pages`, and their `index`, to which a document was added in place."""
    folder = tmp_path_factory.mktemp("intact")
    assert in_process(partial(_build, folder)) == "built"
    return folder


def _build(folder: Path) -> str:
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


def _built(folder: Path, pages: Path) -> str:
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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
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


def attack(number: int, intact: Path, work: Path, expected: Results) -> Outcome:
    """Damage a copy of the index, search it, build it again, and search that."""
    kind = list(KINDS)[number % len(KINDS)]
    folder = Path(shutil.copytree(intact / "index", work / str(number)))
    KINDS[kind](folder, Random(number))
    before = in_process(partial(served, folder, expected))
    after = ""
    if before != "same":
        after = in_process(partial(_built, folder, intact / "pages"))
        if after == "built":
            after = in_process(partial(served, folder, expected, without_ties))
    shutil.rmtree(folder)
    return Outcome(kind, number, before, after)


@pytest.fixture(scope="module")
def outcomes(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    expected = in_process(partial(results, intact / "index"))
    assert len({str(found) for found in expected}) == len(expected)
    step = 1 if len(KINDS) <= ATTACKS else len(KINDS) // ATTACKS
    work = tmp_path_factory.mktemp("damaged")
    found = [attack(n * step, intact, work, expected) for n in range(ATTACKS)]
    _report(found)
    return found


def _report(found: list[Outcome]) -> None:
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        by_kind[one.kind][f"{one.served.split(':')[0]} > {one.built.split(':')[0]}"] += 1
    for kind, counts in by_kind.items():
        print(f"{kind:32} {dict(counts)}")  # noqa: T201
    for one in found:
        if not one.served.startswith(("same", "refused")) or one.built.startswith(("err", "diff")):
            print(one)  # noqa: T201


@pytest.mark.timeout(7200)
def test_damaged_index_is_never_silently_wrong(outcomes: list[Outcome]) -> None:
    wrong = [one for one in outcomes if not one.served.startswith(("same", "refused"))]
    assert not wrong


@pytest.mark.timeout(7200)
def test_build_repairs_a_damaged_index_or_says_that_it_cannot(outcomes: list[Outcome]) -> None:
    built = [one for one in outcomes if one.built]
    assert not [one for one in built if not one.built.startswith(("same", "refused"))]
    assert not [one for one in built if one.kind in ROW_KINDS and one.built != "same"]
