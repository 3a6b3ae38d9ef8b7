"""An index that changes while it is asked: single documents, a sync, another model, a snapshot.

All of it happens to one index on a Chroma server with two workers.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.endurance.living_changes import changes_measures, measure_changes
from tests.endurance.living_index import Built, LivingIndex, chroma, workers
from tests.endurance.living_models import SHORTENED, keep, keep_both
from tests.endurance.living_moves import measure_moves, moves_measures
from tests.endurance.living_snapshots import measure_snapshots, snapshot_measures
from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.report import Measure
from utils.settings import load_settings

_CHANGED_SHARE = 0.01
_ADDED = "\n\nThis page was changed, by so many words, for the sake of a measurement.\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done, and how fast."""

    changes: int
    """Documents added, replaced and deleted."""
    rate: float
    """Requests a second meanwhile."""
    calm_seconds: float
    """With requests alone, to compare with."""


def measure_living(
    job: BenchmarkRun, asked: Sequence[str], pace: Pace, say: Callable[[str], None]
) -> list[Measure]:
    """Build the index, start the workers, and have everything happen to it, one after the other.

    Raises:
        DocsQAError: a process did not start, a command failed, or a worker did not follow.
    """
    with _made(job) as (index, scratch):
        say("living: the first build into a Chroma server ...")
        first = asyncio.run(index.build("first-build"))
        with workers(index) as both:
            say(f"living: {pace.changes} pages added, replaced and deleted ...")
            changes = asyncio.run(
                measure_changes(both, asked, pace.changes, pace.rate, pace.calm_seconds, say)
            )
            measures = _build_measures(first) + changes_measures(changes)
            say("living: a sync after few pages have changed ...")
            measures += _sync(index, first, say)
            if index.follows_models:
                say(f"living: another model and back, with {pace.rate:g} requests a second ...")
                moves = measure_moves(
                    *(index, both, asked, pace.rate, pace.calm_seconds),
                    change_a_page=lambda: _change(_markdown(index)[:1]),
                )
                measures += moves_measures(asyncio.run(moves))
            else:
                say("living: no other model; EMBEDDING_MODEL_NAME is set, so workers keep to it.")
        say("living: a snapshot, pushed and pulled ...")
        snapshot = asyncio.run(measure_snapshots(index, scratch, say))
        return measures + (snapshot_measures(snapshot, first.seconds) if snapshot else [])


@contextmanager
def _made(job: BenchmarkRun) -> Iterator[tuple[LivingIndex, Path]]:
    """An empty Chroma server, and two models that are ready to be used."""
    with tempfile.TemporaryDirectory(prefix="benchmark-living-") as folder:
        scratch = Path(folder)
        models, exported = scratch / "models", scratch / "exported"
        other = job.other_model or SHORTENED
        if job.other_model:
            keep(models, job.model, Path(job.model_folder))
            keep(models, other, Path(job.other_model_folder))
        else:
            keep_both(models, job.model, Path(job.model_folder))
        with chroma(job, "chroma", scratch / "chroma") as address:
            follows = load_settings().embedding_model_name is None
            index = LivingIndex(replace(job, ours=address), models, exported, other, follows)
            _export(index, scratch)
            yield index, scratch


def _export(index: LivingIndex, scratch: Path) -> None:
    """Build a page's index with each model: what is measured later exports none."""
    page = scratch / "page"
    page.mkdir()
    (page / "page.md").write_text("# A page\n\nIt is read once.\n")
    for at, model in enumerate((index.job.model, index.other_model)):
        asyncio.run(index.build(f"export-{at}", model, page, str(scratch / f"page-{at}")))


def _build_measures(first: Built) -> list[Measure]:
    return [
        Measure("first build, s", first.seconds),
        Measure("first build, chunks", first.chunks),
    ]


def _sync(index: LivingIndex, first: Built, say: Callable[[str], None]) -> list[Measure]:
    """Change a few pages of the folder, and build again."""
    pages = _markdown(index)
    count = max(1, round(_CHANGED_SHARE * len(pages)))
    changed = pages[:: max(1, len(pages) // count)][:count]
    if not changed:
        say("living: no sync; there is no markdown in the folder that could be changed.")
        return []
    _change(changed)
    sync = asyncio.run(index.build("sync"))
    return [
        Measure(f"sync, {len(changed)} of {len(pages):,} pages changed, s", sync.seconds),
        Measure("sync, chunks embedded", sync.embedded),
        Measure("sync, % of the first build's time", 100 * sync.seconds / first.seconds),
        Measure("sync, % of the first build's chunks", 100 * sync.embedded / first.embedded),
    ]


def _markdown(index: LivingIndex) -> list[Path]:
    """The pages that can be changed by adding a line; copies, made for this run."""
    return sorted(Path(index.job.documents).rglob("*.md"))


def _change(pages: Sequence[Path]) -> None:
    for page in pages:
        with page.open("a") as file:
            file.write(_ADDED)
