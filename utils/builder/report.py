"""What `db_builder` says of a build."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from database.building.report import BuildReport

_NAMED = 5
"""How many documents a line names."""


def describe(report: "BuildReport") -> str:
    """The report as lines for a person."""
    changes = report.changes
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
    if report.from_api:
        lines.append(
            f"  {report.from_api:,} of them came through the API and are kept as they came"
        )
    if report.left_out:
        lines.append(
            f"  {len(report.left_out):,} of the folder were deleted through the API and stay away: "
            f"{_some(report.left_out)} (--folder_only brings them back)"
        )
    lines.append(
        f"{report.chunks:,} chunks, {report.embedded:,} of them embedded now, in "
        f"{report.seconds:.1f} s ({report.chunks_per_second:.1f} a second)"
    )
    spent = ", ".join(
        f"{name} {seconds:.1f} s" for name, seconds in report.seconds_by_stage.items()
    )
    lines.append(f"Time went to: {spent}")
    if report.seconds_to_open:
        lines.append(f"A fresh process opens the index in {report.seconds_to_open:.2f} s")
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
