"""What a build did and where its time went."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from database.index.rows import StoredDocuments

_MAX_NAMES = 5
"""Documents that the report lists by name."""


@dataclass(frozen=True, slots=True)
class Tally:
    """So many documents, so many chunks."""

    documents: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class SyncChanges:
    """What a build changed against the index that was live before."""

    new: Tally
    replaced: Tally
    unchanged: Tally
    deleted: Tally
    without_text: int
    """Documents that hold only links, or nothing: no chunk stands for them."""

    @classmethod
    def between(cls, before: StoredDocuments, after: StoredDocuments, documents: int) -> Self:
        """Compare the live index's documents with the new one's.

        Args:
            before: What was live.
            after: What is live now.
            documents: How many documents the folder holds.
        """
        return cls(
            new=_tally(after, after.keys() - before.keys()),
            replaced=_tally(
                after, {n for n in after.keys() & before.keys() if after[n][0] != before[n][0]}
            ),
            unchanged=_tally(
                after, {n for n in after.keys() & before.keys() if after[n][0] == before[n][0]}
            ),
            deleted=_tally(before, before.keys() - after.keys()),
            without_text=documents - len(after),
        )


def _tally(held: StoredDocuments, names: set[str]) -> Tally:
    return Tally(len(names), sum(held[name][1] for name in names))


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The end of a build, for the operator and the benchmark."""

    changes: SyncChanges
    chunks: int
    embedded: int
    """Chunks embedded in this run; the others were copied or already there."""
    seconds: float
    seconds_by_stage: dict[str, float]
    seconds_to_open: float
    """How long a fresh process takes from opening the new index to its first answer."""
    from_api: int = 0
    """Documents that came through the API, and were taken as they came."""
    left_out: tuple[str, ...] = ()
    """Documents of the folder that were deleted through the API."""

    @property
    def chunks_per_second(self) -> float:
        """Chunks embedded and stored a second, over the whole run."""
        return self.embedded / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        """Format the report as lines for a terminal."""
        changes = self.changes
        tallies = {
            "new": changes.new,
            "replaced": changes.replaced,
            "unchanged": changes.unchanged,
            "deleted": changes.deleted,
        }
        lines = [
            f"  {name:<10} {t.documents:>7,} documents {t.chunks:>9,} chunks"
            for name, t in tallies.items()
        ]
        if changes.without_text:
            lines.append(f"  no text    {changes.without_text:>7,} documents (or only links)")
        if self.from_api:
            lines.append(f"  {self.from_api:,} of them were added through the API and are kept")
        if self.left_out:
            lines.append(
                f"  {len(self.left_out):,} of the folder were deleted through the API and stay "
                f"deleted: {_first(self.left_out)} (--folder_only restores them)"
            )
        stages = ", ".join(f"{name} {s:.1f} s" for name, s in self.seconds_by_stage.items())
        lines += [
            f"{self.chunks:,} chunks, {self.embedded:,} of them embedded now, in "
            f"{self.seconds:.1f} s ({self.chunks_per_second:.1f} a second)",
            f"Time by stage: {stages}",
        ]
        if self.seconds_to_open:
            lines.append(f"A fresh process opens the index in {self.seconds_to_open:.2f} s")
        return "\n".join(lines)


def _first(names: Sequence[str]) -> str:
    """List the first few names and the number of the others."""
    others = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {others:,} more" if others > 0 else "")


@dataclass
class Stopwatch:
    """Sums up seconds by stage."""

    stages: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count the time of a block towards a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start
