"""Damaged indexes are never silently wrong: the same results, or not ready with the remedy.

`make test-slow` damages a few; `make attack` a hundred (ATTACKS=).
"""

import os
import shutil
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.attacks.store_damage import KINDS, ROW_KINDS
from tests.attacks.store_probe import (
    Results,
    build_index,
    in_process,
    rebuild,
    results,
    served,
    without_ties,
)

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(7200)]

ATTACKS = int(os.environ.get("ATTACKS", "6"))


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
    assert in_process(partial(build_index, folder)) == "built"
    return folder


def attack(number: int, intact: Path, work: Path, expected: Results) -> Outcome:
    """Damage a copy of the index, search it, build it again, and search that."""
    kind = list(KINDS)[number % len(KINDS)]
    folder = Path(shutil.copytree(intact / "index", work / str(number)))
    KINDS[kind](folder, Random(number))
    before = in_process(partial(served, folder, expected))
    after = ""
    if before != "same":
        after = in_process(partial(rebuild, folder, intact / "pages"))
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
    """Print the outcomes by kind, and each that is wrong; on stderr, as xdist hides stdout."""
    by_kind: dict[str, Counter[str]] = defaultdict(Counter)
    for one in found:
        by_kind[one.kind][f"{one.served.split(':')[0]} > {one.built.split(':')[0]}"] += 1
    lines = [f"{kind:32} {dict(counts)}" for kind, counts in by_kind.items()]
    for one in found:
        if not one.served.startswith(("same", "refused")) or one.built.startswith(("err", "diff")):
            lines.append(str(one))
    sys.stderr.write("\n".join(("", *lines, "")))


def test_damaged_index_is_never_silently_wrong(outcomes: list[Outcome]) -> None:
    wrong = [one for one in outcomes if not one.served.startswith(("same", "refused"))]
    assert not wrong


def test_build_repairs_a_damaged_index_or_says_that_it_cannot(outcomes: list[Outcome]) -> None:
    built = [one for one in outcomes if one.built]
    assert not [one for one in built if not one.built.startswith(("same", "refused"))]
    assert not [one for one in built if one.kind in ROW_KINDS and one.built != "same"]
