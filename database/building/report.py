"""What a build changed, and how long each stage took."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from database.index.rows import StoredDocuments
from dataset.skipped import SkippedFile, skipped_summary

_MAX_NAMES = 5
"""Documents that the report lists by name."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of documents and of their chunks."""

    documents: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class SyncChanges:
    """The difference between a new index and the one that was live before."""

    new: Tally
    replaced: Tally
    unchanged: Tally
    deleted: Tally
    without_text: int
    """Documents that are empty or contain only links, and so have no chunk."""

    @classmethod
    def between(cls, before: StoredDocuments, after: StoredDocuments, documents: int) -> Self:
        """Compare two indexes; `documents` is the number of desired documents."""
        common = after.keys() & before.keys()
        unchanged = {name for name in common if after[name][0] == before[name][0]}
        return cls(
            new=_tally(after, after.keys() - before.keys()),
            replaced=_tally(after, common - unchanged),
            unchanged=_tally(after, unchanged),
            deleted=_tally(before, before.keys() - after.keys()),
            without_text=documents - len(after),
        )


def _tally(stored: StoredDocuments, names: set[str]) -> Tally:
    return Tally(len(names), sum(stored[name][1] for name in names))


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The result of a build, for the operator and the benchmark."""

    changes: SyncChanges
    chunks: int
    embedded: int
    """Chunks embedded in this run; the others were copied or in place."""
    seconds: float
    seconds_by_stage: dict[str, float]
    seconds_to_open: float
    """Time that a new process takes to open the new index and query it."""
    from_api: int = 0
    """Documents added through the API."""
    left_out: tuple[str, ...] = ()
    """Documents of the folder that were deleted through the API."""
    skipped: tuple[SkippedFile, ...] = ()
    """Files of the folder that are no documents, or none that can be converted."""

    @property
    def chunks_per_second(self) -> float:
        """Chunks embedded per second of the whole run."""
        return self.embedded / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        """Format the report as lines for a terminal."""
        lines = []
        for name in ("new", "replaced", "unchanged", "deleted"):
            tally: Tally = getattr(self.changes, name)
            lines.append(f"  {name:<10} {tally.documents:>7,} documents {tally.chunks:>9,} chunks")
        if without_text := self.changes.without_text:
            lines.append(f"  no text    {without_text:>7,} documents (or only links)")
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
            lines.append(f"The new index opens in {self.seconds_to_open:.2f} s")
        if self.skipped:
            lines.append(skipped_summary(self.skipped))
        return "\n".join(lines)


def _first(names: Sequence[str]) -> str:
    """List the first few names and the number of the others."""
    others = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {others:,} more" if others > 0 else "")


@dataclass
class Stopwatch:
    """Adds up seconds by stage."""

    stages: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the duration of a block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start
