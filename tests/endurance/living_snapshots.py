"""A snapshot of the index, pushed to a folder and pulled into a server that has none."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.endurance.living_index import LivingIndex, chroma
from utils.benchmark.report import Measure

_COMMAND = "database.snapshot"


@dataclass(frozen=True, slots=True)
class SnapshotFigures:
    """What the two commands took."""

    push_seconds: float
    pull_seconds: float
    size: int
    """Bytes of the snapshot."""


async def measure_snapshots(
    index: LivingIndex, scratch: Path, say: Callable[[str], None]
) -> SnapshotFigures | None:
    """Push and pull; None where this version has no snapshots.

    Raises:
        DocsQAError: one of the two failed.
    """
    if find_spec(_COMMAND) is None or find_spec(f"{_COMMAND}.__main__") is None:
        say(f"No snapshots: there is no {_COMMAND}.")
        return None
    snapshots = scratch / "snapshots"
    snapshots.mkdir()
    push = await index.run("push", "-m", _COMMAND, "push", str(snapshots), "-db", index.job.ours)
    with chroma(index.job, "empty-chroma", scratch / "pulled") as empty:
        pull = await index.run("pull", "-m", _COMMAND, "pull", str(snapshots), "-db", empty)
    size = sum(path.stat().st_size for path in snapshots.rglob("*") if path.is_file())
    return SnapshotFigures(push.seconds, pull.seconds, size)


def snapshot_measures(figures: SnapshotFigures, build_seconds: float) -> list[Measure]:
    """Seconds and size, held against a build from nothing."""
    return [
        Measure("snapshot, MB", figures.size / 1e6),
        Measure("snapshot pushed to a folder, s", figures.push_seconds),
        Measure("snapshot pulled into an empty server, s", figures.pull_seconds),
        Measure("pull, % of the first build's time", 100 * figures.pull_seconds / build_seconds),
    ]
